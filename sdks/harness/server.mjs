// The server under test, and what its operator does.
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, openSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ROOT, STATE } from './folders.mjs'
import { firstLine, stop } from './processes.mjs'

const BINARY = resolve(process.env.SOJOURN_BIN ?? join(ROOT, 'target/debug/sojourn'))
const EMAIL = 'ada+clerk_test@example.com'
export const PASSWORD = 'correct horse battery staple'

export async function startServer(name) {
  const data = join(STATE, `data-${name}`)
  rmSync(data, { recursive: true, force: true })
  mkdirSync(STATE, { recursive: true })
  const log = openSync(join(STATE, `${name}.server.log`), 'w')
  const child = spawn(BINARY, ['test-server', '--port', '0', '--data', data, '--json'], { stdio: ['ignore', 'pipe', log] })
  const ready = JSON.parse(await firstLine(child, 'the server'))
  const server = {
    baseUrl: ready.base_url,
    secretKey: ready.secret_key,
    email: EMAIL,
    /** The variables and the code that are printed for an application. */
    environment(stack) {
      return JSON.parse(execFileSync(BINARY, ['env', '--for', stack, '--json', '--data', data], { encoding: 'utf8' }))
    },
    async stop() {
      await stop(child)
      rmSync(data, { recursive: true, force: true })
    },
  }
  server.userId = (await backend(server, 'POST', '/v1/users', { email_address: [EMAIL], password: PASSWORD })).id
  return server
}

/** Signs the user in as a browser does, by a sign-in token; answers the session and its token. */
export async function signIn(server) {
  const { token } = await backend(server, 'POST', '/v1/sign_in_tokens', { user_id: server.userId })
  const answer = await fetch(`${server.baseUrl}/v1/client/sign_ins`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', Origin: 'http://localhost:3000' },
    body: new URLSearchParams({ strategy: 'ticket', ticket: token }),
  })
  const { response, client } = await succeeded(answer)
  const session = client.sessions.find(({ id }) => id === response.created_session_id)
  return { sessionId: session.id, token: session.last_active_token.jwt, clientUat: Math.floor(client.updated_at / 1000) }
}

export async function backend(server, method, path, body) {
  return succeeded(await fetch(server.baseUrl + path, {
    method,
    headers: { Authorization: `Bearer ${server.secretKey}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  }))
}

async function succeeded(answer) {
  const text = await answer.text()
  if (!answer.ok) throw new Error(`The server refused (${answer.status}): ${text}`)
  return JSON.parse(text)
}
