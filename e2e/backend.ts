// What an operator or an application's server does: the Backend API, the settings, the mailbox.
import { createClerkClient, type ClerkClient } from '@clerk/backend'
import { stage } from './stage.ts'

export function clerk(): ClerkClient {
  const { secretKey, publishableKey, baseUrl } = stage().server
  return createClerkClient({ secretKey, publishableKey, apiUrl: baseUrl, telemetry: { disabled: true } })
}

export interface SessionSettings {
  inactivity_timeout: { enabled: boolean; duration_seconds?: number }
  maximum_lifetime: { enabled: boolean; duration_seconds?: number }
  multi_session_enabled: boolean
}

export interface SessionToken {
  claims: Record<string, unknown>
  lifetime: number
}

export interface Mail {
  id: string
  to: string
  subject: string
  code: string | null
}

export interface Answer {
  status: number
  body: any
}

export function getSessionSettings(): Promise<Answer> {
  return request('GET', '/v1/instance/session_settings')
}

export function tryPatchSessionSettings(patch: Partial<SessionSettings>): Promise<Answer> {
  return request('PATCH', '/v1/instance/session_settings', patch)
}

export function tryPatchSessionToken(patch: Partial<SessionToken>): Promise<Answer> {
  return request('PATCH', '/v1/instance/session_token', patch)
}

export async function patchSessionSettings(patch: Partial<SessionSettings>): Promise<void> {
  succeeded(await tryPatchSessionSettings(patch))
}

export async function patchSessionToken(patch: Partial<SessionToken>): Promise<void> {
  succeeded(await tryPatchSessionToken(patch))
}

export interface Effect {
  type: string
  session_id: string
  at: number
}

/** Lets time pass for sessions and codes; answers when everything that makes due has happened. */
export async function passTime(seconds: number): Promise<Effect[]> {
  const { body } = succeeded(await request('POST', '/dev/clock/advance', { seconds }))
  return body.effects
}

/** As a new instance has them, on real time. */
export async function resetSettings(): Promise<void> {
  succeeded(await request('POST', '/dev/clock/reset', {}))
  await patchSessionSettings({
    inactivity_timeout: { enabled: false, duration_seconds: 1_800 },
    maximum_lifetime: { enabled: true, duration_seconds: 604_800 },
    multi_session_enabled: false,
  })
  await patchSessionToken({ claims: {}, lifetime: 60 })
  await patchEnumerationProtection('off')
}

/** Whether signing in and up tells which accounts exist. */
export async function patchEnumerationProtection(enumeration_protection: 'off' | 'strict'): Promise<void> {
  const patch = { auth_attack_protection: { enumeration_protection } }
  succeeded(await request('PATCH', '/v1/instance/settings', patch))
}

/** An administrator signs everybody out; what the server answers. */
export async function endAllSessions(): Promise<any> {
  return succeeded(await request('POST', '/v1/sessions/revoke', { all: true })).body
}

/** The subjects of the mails to this address, newest first. */
export async function mailedSubjects(to: string): Promise<string[]> {
  const { body } = succeeded(await request('GET', `/dev/mailbox?to=${encodeURIComponent(to)}`))
  return (body.data as Mail[]).map((mail) => mail.subject)
}

/** The code of the newest mail to this address; mail may arrive a moment after the page says it was sent. */
export async function mailedCode(to: string): Promise<string> {
  const deadline = Date.now() + 10_000
  while (Date.now() < deadline) {
    const { body } = succeeded(await request('GET', `/dev/mailbox?to=${encodeURIComponent(to)}`))
    const code = (body.data as Mail[]).find((mail) => mail.code)?.code
    if (code) return code
    await new Promise((resume) => setTimeout(resume, 100))
  }
  throw new Error(`No mail with a code came for ${to}.`)
}

/** The statuses of all sessions this user has ever had, newest first. */
export async function sessionStatuses(userId: string): Promise<string[]> {
  const { data } = await clerk().sessions.getSessionList({ userId, limit: 100 })
  return data.map((session) => session.status)
}

export async function sessionStatus(sessionId: string): Promise<string> {
  return (await clerk().sessions.getSession(sessionId)).status
}

async function request(method: string, path: string, body?: unknown): Promise<Answer> {
  const { server } = stage()
  const answer = await fetch(server.baseUrl + path, {
    method,
    headers: {
      Authorization: `Bearer ${server.secretKey}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  })
  return { status: answer.status, body: await answer.json() }
}

function succeeded(answer: Answer): Answer {
  if (answer.status >= 400) throw new Error(`The server refused (${answer.status}): ${JSON.stringify(answer.body)}`)
  return answer
}
