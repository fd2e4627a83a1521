// Verifies received webhooks with the JavaScript libraries: node verify.mjs FILE
// FILE holds what run.mjs wrote; the output is one JSON list of {title, failure}.
import { readFileSync } from 'node:fs'
import { verifyWebhook } from '@clerk/backend/webhooks'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'

const { received, foreignSecret } = JSON.parse(readFileSync(process.argv[2], 'utf8'))

const only = (headers, prefix) => Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(prefix)))

const LIBRARIES = {
  '@clerk/backend': (secret, headers, body) =>
    verifyWebhook(new Request('http://localhost/', { method: 'POST', headers: only(headers, 'svix-'), body }), {
      signingSecret: secret,
    }),
  svix: async (secret, headers, body) => new SvixWebhook(secret).verify(body, only(headers, 'svix-')),
  standardwebhooks: async (secret, headers, body) => new StandardWebhook(secret).verify(body, only(headers, 'webhook-')),
}

async function refuses(verify, ...given) {
  try {
    await verify(...given)
  } catch {
    return
  }
  throw new Error('accepted what has another signature')
}

const results = []
for (const [library, verify] of Object.entries(LIBRARIES)) {
  for (const { headers, body, secrets } of received) {
    const { type } = JSON.parse(body)
    const title = `${library} verifies ${type} signed with ${secrets.length === 2 ? 'both secrets' : 'one secret'}`
    try {
      for (const secret of secrets) {
        const event = await verify(secret, headers, body)
        // svix 2 verifies, and returns nothing.
        if (library !== 'svix' && event?.type !== type) throw new Error(`read ${JSON.stringify(event)}`)
      }
      await refuses(verify, foreignSecret, headers, body)
      await refuses(verify, secrets[0], headers, body.replace('"event"', '"other"'))
      results.push({ title })
    } catch (error) {
      results.push({ title, failure: error.stack ?? String(error) })
    }
  }
}
console.log(JSON.stringify(results))
