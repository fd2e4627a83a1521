// What goes over the wire while a test runs.
import type { BrowserContext, Page, Request } from '@playwright/test'

/** Grows with each request whose path matches. */
export function requestsTo(context: BrowserContext, path: RegExp): Request[] {
  const seen: Request[] = []
  context.on('request', (request) => {
    if (path.test(new URL(request.url()).pathname)) seen.push(request)
  })
  return seen
}

export const HANDSHAKE = /\/v1\/client\/handshake$/
export const TOKENS = /\/v1\/client\/sessions\/[^/]+\/tokens$/

/** The claims in the `__session` cookie that this page's app would receive. */
export async function sessionCookie(page: Page, origin: string): Promise<{ value: string; claims: any } | undefined> {
  const cookie = (await page.context().cookies(origin)).find(({ name }) => name === '__session')
  if (!cookie?.value) return undefined
  return { value: cookie.value, claims: JSON.parse(Buffer.from(cookie.value.split('.')[1]!, 'base64url').toString()) }
}

export async function dropCookies(context: BrowserContext, name: RegExp): Promise<void> {
  await context.clearCookies({ name })
}

/** Real time, where only real time will do: the server's deadlines and the browser's timers. */
export function seconds(count: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, count * 1_000))
}
