// What every application has to show. Each one answers:
//   GET /me        {"userId": …} by its SDK's middleware, null for who is signed out (or 401, 403)
//   GET /user      {"email": …} of that user, asked from the Backend API by its SDK
//   GET /outside   after it has tried to reach another host: shows that the guard sees it
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { signIn } from './server.mjs'

export async function tryApplication(plan, server, application) {
  const session = await signIn(server)
  const results = []
  const wanted = plan.inBrowser
    ? (await import('./browser.mjs')).browserPromises
    : { ...promises, ...(plan.handshake ? handshakes : {}), ...(application.proxied ? proxies : {}) }
  for (const [title, promise] of Object.entries(wanted)) {
    try {
      await promise({ plan, server, application, session })
      results.push({ title })
    } catch (error) {
      results.push({ title, failure: error.stack ?? String(error) })
    }
  }
  return results
}

const promises = {
  async 'the guard sees a connection to another host'({ application }) {
    await ask(application, '/outside')
    assert.notDeepEqual(application.takeOutside(), [], 'nothing was seen, so nothing that follows shows anything')
  },

  async 'a request without a token is signed out'({ application }) {
    assert.equal(await userOf(application), null)
    staysHere(application)
  },

  async 'a session token in the header signs in'({ application, server, session }) {
    assert.equal(await userOf(application, { Authorization: `Bearer ${session.token}` }), server.userId)
    staysHere(application)
  },

  async 'a session token in the cookie signs in'({ application, server, session }) {
    assert.equal(await userOf(application, cookies(session)), server.userId)
    staysHere(application)
  },

  async 'the Backend API answers'({ application, server, session }) {
    const answer = await ask(application, '/user', { Authorization: `Bearer ${session.token}` })
    assert.equal(answer.status, 200, answer.body)
    assert.equal(JSON.parse(answer.body).email, server.email)
    staysHere(application)
  },

  async 'a token of another issuer is signed out'({ application, session }) {
    assert.equal(await userOf(application, { Authorization: `Bearer ${forged(session.token)}` }), null)
    staysHere(application)
  },

  // Whoever calls an application chooses what stands behind `Bearer`.
  async 'a key of another kind is signed out'({ application }) {
    for (const token of ['ak_0123456789abcdef', 'oat_0123456789abcdef', 'mt_0123456789abcdef', 'm2m_0123456789abcdef']) {
      assert.equal(await userOf(application, { Authorization: `Bearer ${token}` }), null, token)
      staysHere(application, token)
    }
  },
}

const handshakes = {
  async 'a page that lost its token is sent to the server and back'({ application, server, session }) {
    await goesAndComesBack(application, application.url, new URL(server.baseUrl).host, session)
  },
}

/** Where browsers talk to the application only, which passes on what is below `/__clerk`. */
const proxies = {
  async 'a page that lost its token stays with the application, which asks the server'({ application, session }) {
    await goesAndComesBack(application, application.proxied, new URL(application.proxied).host, session)
  },

  async 'the application hands out the scripts of the server'({ application }) {
    const script = await fetch(`${application.proxied}/__clerk/npm/@clerk/clerk-js@6/dist/clerk.browser.js`)
    assert.equal(script.status, 200)
    assert.match(script.headers.get('content-type'), /^text\/javascript/)
    staysHere(application)
  },
}

async function goesAndComesBack(application, url, awayHost, session) {
  const headers = { ...cookies(session, { token: false }), 'Sec-Fetch-Dest': 'document', Accept: 'text/html' }
  const answer = await ask({ url }, '/me', headers)
  assert.equal(answer.status, 307, answer.body)
  const away = new URL(answer.location, url)
  assert.equal(away.host, awayHost, `sent to ${away}`)
  const back = await fetch(away, { redirect: 'manual' })
  assert.equal(back.status, 307)
  assert.equal(new URL(back.headers.get('location'), away).host, new URL(url).host)
  staysHere(application)
}

function staysHere(application, why) {
  assert.deepEqual(application.takeOutside(), [], why)
}

async function userOf(application, headers) {
  const { status, body } = await ask(application, '/me', headers)
  if (status === 401 || status === 403) return null
  assert.equal(status, 200, body)
  return JSON.parse(body).userId ?? null
}

async function ask(application, path, headers = {}) {
  const answer = await fetch(application.url + path, { headers, redirect: 'manual', signal: AbortSignal.timeout(60_000) })
  return { status: answer.status, location: answer.headers.get('location'), body: await answer.text() }
}

function cookies({ token, clientUat }, { token: withToken = true } = {}) {
  const pairs = [`__client_uat=${clientUat}`, ...(withToken ? [`__session=${token}`] : [])]
  return { Cookie: pairs.join('; ') }
}

/** The same claims, signed by a key that the server does not have. */
function forged(token) {
  const [header, payload] = token.split('.')
  const fields = { ...JSON.parse(Buffer.from(header, 'base64url')), kid: 'ins_of_somebody_else' }
  const signed = `${Buffer.from(JSON.stringify(fields)).toString('base64url')}.${payload}`
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), privateKey).toString('base64url')}`
}
