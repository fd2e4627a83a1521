// Has a running server send webhooks, and verifies what arrived with the libraries that receivers use:
// node sdks/webhooks/run.mjs. The last line is `N passed, N failed`.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { prepare } from '../harness/application.mjs'
import { SDKS, STATE } from '../harness/folders.mjs'
import { backend, signIn, startServer } from '../harness/server.mjs'

const RECEIVED_WITHIN_MS = 30_000
const folder = join(SDKS, 'webhooks')
const python = join(STATE, 'webhooks-python')
mkdirSync(STATE, { recursive: true })
prepare('webhooks', {
  prepare: [
    ['npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts']],
    ['python3', ['-m', 'venv', python]],
    [join(python, 'bin/pip'), ['install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt']],
  ],
  manifest: 'package-lock.json',
  built: ['requirements.txt'],
}, folder)

const received = []
let arrived = () => {}
const receiver = createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') })
  response.end('ok')
  arrived()
})
await new Promise((listening) => receiver.listen(0, '127.0.0.1', listening))

/** Waits until an event of each of these types arrived. */
async function arrival(...types) {
  const late = setTimeout(() => {
    console.log(`not all of ${types.join(', ')} arrived; ${received.length} webhooks did`)
    process.exit(1)
  }, RECEIVED_WITHIN_MS)
  const missing = () => types.some((type) => !received.some(({ body }) => JSON.parse(body).type === type))
  while (missing()) await new Promise((resume) => (arrived = resume))
  clearTimeout(late)
}

const server = await startServer('webhooks')
let signed = []
let foreignSecret
try {
  const create = () =>
    backend(server, 'POST', '/v1/webhooks/endpoints', { url: `http://127.0.0.1:${receiver.address().port}/` })
  const endpoint = await create()
  await signIn(server)
  await backend(server, 'PATCH', `/v1/users/${server.userId}`, { first_name: 'Ada Ünicode' })
  await backend(server, 'POST', `/v1/webhooks/endpoints/${endpoint.id}/test`, {})
  await arrival('session.created', 'user.updated', 'sojourn.test')
  const rotated = await backend(server, 'POST', `/v1/webhooks/endpoints/${endpoint.id}/rotate_secret`, {})
  await backend(server, 'DELETE', `/v1/users/${server.userId}`)
  await arrival('user.deleted')
  signed = received.map((one) => {
    const isOfBoth = one.headers['svix-signature'].split(' ').length === 2
    return { ...one, secrets: isOfBoth ? [rotated.secret, endpoint.secret] : [endpoint.secret] }
  })
  if (!signed.some(({ secrets }) => secrets.length === 2)) throw new Error('no webhook was signed with two secrets')
  foreignSecret = (await create()).secret
} finally {
  await server.stop()
  receiver.close()
}

const file = join(STATE, 'webhooks.received.json')
writeFileSync(file, JSON.stringify({ received: signed, foreignSecret }))
const results = [
  ['node', 'verify.mjs'],
  [join(python, 'bin/python'), 'verify.py'],
].flatMap(([program, script]) => JSON.parse(execFileSync(program, [script, file], { cwd: folder, encoding: 'utf8' })))
for (const { title, failure } of results) console.log(`${failure ? 'FAILED' : 'ok'}  webhooks: ${title}${failure ? `\n${failure}` : ''}`)
const failed = results.filter(({ failure }) => failure).length
console.log(`${results.length - failed} passed, ${failed} failed`)
process.exit(failed > 0 || results.length === 0 ? 1 : 0)
