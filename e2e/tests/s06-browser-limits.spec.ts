import type { BrowserContext } from '@playwright/test'
import { patchSessionSettings, patchSessionToken, tryPatchSessionSettings } from '../backend.ts'
import { signIn, user } from '../people.ts'
import { expect, test } from '../test.ts'
import { openUserButton } from '../user-button.ts'

const DAY = 86_400
const LONGEST = 400 * DAY

test('S6 — every limit can be set without a plan', async ({ page, apps }) => {
  const paymentAsked: string[] = []
  page.on('response', (response) => {
    if (response.status() === 402) paymentAsked.push(response.url())
  })

  await patchSessionSettings({
    inactivity_timeout: { enabled: true, duration_seconds: 3 * DAY },
    maximum_lifetime: { enabled: true, duration_seconds: 30 * DAY },
    multi_session_enabled: true,
  })
  await patchSessionToken({ claims: { app: 'example' }, lifetime: 45 })
  await signIn(page, await user('alice'), apps['with-prop'])
  await openUserButton(page)

  expect(paymentAsked).toEqual([])
})

test('S7 — no cookie asks to live longer than 400 days, whatever the lifetime', async ({ context, page, apps }) => {
  const asked = setCookies(context)
  const answer = await tryPatchSessionSettings({ maximum_lifetime: { enabled: true, duration_seconds: 500 * DAY } })
  expect(answer.status).toBe(200)
  expect(answer.body.warnings.map((warning: { code: string }) => warning.code)).toContain('beyond_browser_limit')

  await signIn(page, await user('alice'), apps['with-prop'])
  await context.clearCookies({ name: /^__session/ })
  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page.getByTestId('claims')).toBeVisible()

  const now = Date.now() / 1_000
  for (const cookie of await context.cookies()) {
    expect(cookie.expires - now, cookie.name).toBeLessThanOrEqual(LONGEST + 1)
  }
  const lines = await Promise.all(asked).then((all) => all.flat())
  expect(lines.some((line) => line.startsWith('__client'))).toBe(true)
  for (const line of lines) expect(lifetimeOf(line), line).toBeLessThanOrEqual(LONGEST + 60)
})

test('S7 — cleared cookies mean signing in again', async ({ context, page, apps }) => {
  await signIn(page, await user('alice'), apps['with-prop'])

  await context.clearCookies()
  await page.goto(`${apps['with-prop']}/protected`)

  await expect(page).toHaveURL(/\/sign-in/)
})

/** Every Set-Cookie line as sent: the browser's own list would hide what it has cut to 400 days. */
function setCookies(context: BrowserContext): Promise<string[]>[] {
  const lines: Promise<string[]>[] = []
  context.on('response', (response) => {
    const headers = response.headersArray().catch(() => [])
    lines.push(
      headers.then((all) =>
        all.filter(({ name }) => name.toLowerCase() === 'set-cookie').flatMap(({ value }) => value.split('\n')),
      ),
    )
  })
  return lines
}

function lifetimeOf(line: string): number {
  const maxAge = /;\s*max-age=(-?\d+)/i.exec(line)
  if (maxAge) return Number(maxAge[1])
  const expires = /;\s*expires=([^;]+)/i.exec(line)
  return expires ? (Date.parse(expires[1]!) - Date.now()) / 1_000 : 0
}
