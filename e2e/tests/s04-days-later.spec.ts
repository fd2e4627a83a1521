// Days pass in a moment: the test clock moves sessions, and leaves tokens and cookies alone.
import { passTime, patchSessionSettings, sessionStatus, type Effect } from '../backend.ts'
import { currentSessionId, signIn, user } from '../people.ts'
import { expect, test } from '../test.ts'
import { sessionCookie } from '../watching.ts'

const MINUTE = 60
const DAY = 86_400

test('S4 — seven days later the session is over, and until then the SDKs verify every token', async ({ page, apps }) => {
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!

  expect(endedBy(await passTime(7 * DAY - 10 * MINUTE))).not.toContain(sessionId)
  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page.getByTestId('claims')).toBeVisible()
  const token = await sessionCookie(page, apps['with-prop'])
  const now = Date.now() / 1_000
  expect(token!.claims.iat, 'tokens stay on real time').toBeGreaterThan(now - 120)
  expect(token!.claims.exp).toBeLessThan(now + 120)

  const effects = await passTime(10 * MINUTE)
  expect(effects).toContainEqual(expect.objectContaining({ type: 'session.expired', session_id: sessionId }))
  await page.goto(apps['with-prop'])
  await expect(page.getByTestId('signed-out')).toBeVisible()
  expect(await sessionStatus(sessionId)).toBe('expired')

  await signIn(page, await user('alice'), apps['with-prop'])
  await expect(page.getByTestId('signed-in')).toBeVisible()
})

test('S3 — half an hour with the application closed, in a moment', async ({ page, apps }) => {
  await patchSessionSettings({ inactivity_timeout: { enabled: true, duration_seconds: 30 * MINUTE } })
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!

  await page.goto('about:blank')
  expect(endedBy(await passTime(29 * MINUTE))).not.toContain(sessionId)
  await page.goto(apps['with-prop'])
  await expect(page.getByTestId('signed-in')).toBeVisible()

  await page.goto('about:blank')
  const effects = await passTime(31 * MINUTE)
  expect(effects).toContainEqual(expect.objectContaining({ type: 'session.abandoned', session_id: sessionId }))
  // The token from before is good for its minute; the application asks the server and drops it.
  await page.goto(apps['with-prop'])
  await expect(page.getByTestId('signed-out')).toBeVisible()
  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page).toHaveURL(/\/sign-in/)
})

test('S8 — of two accounts in one browser, only the one whose time is over is signed out', async ({ page, apps }) => {
  await patchSessionSettings({ multi_session_enabled: true })
  await signIn(page, await user('alice'), apps['with-prop'])
  const first = (await currentSessionId(page))!
  await passTime(3 * DAY)
  await signIn(page, await user('bob'), apps['with-prop'])
  const second = (await currentSessionId(page))!

  const effects = await passTime(4 * DAY)
  expect(endedBy(effects)).toContain(first)
  await page.goto(apps['with-prop'])
  await expect(page.getByTestId('signed-in')).toBeVisible()
  expect(await currentSessionId(page)).toBe(second)
  expect(await sessionStatus(first)).toBe('expired')
})

// Other tests have left sessions behind, which grow older as well.
function endedBy(effects: Effect[]): string[] {
  return effects.map((effect) => effect.session_id)
}
