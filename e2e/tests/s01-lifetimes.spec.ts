import {
  clerk,
  getSessionSettings,
  patchSessionSettings,
  patchSessionToken,
  sessionStatus,
  tryPatchSessionSettings,
} from '../backend.ts'
import { currentSessionId, signIn, user } from '../people.ts'
import { expect, test } from '../test.ts'
import { seconds, sessionCookie } from '../watching.ts'

const DAY = 86_400

test('S1 — two settings say how long a session lives, and a change counts from the next moment', async ({ page, apps }) => {
  const { body } = await getSessionSettings()
  expect(body.inactivity_timeout.enabled).toBe(false)
  expect(body.maximum_lifetime).toEqual({ enabled: true, duration_seconds: 7 * DAY })

  await patchSessionSettings({ maximum_lifetime: { enabled: true, duration_seconds: 2 * DAY } })
  await signIn(page, await user('alice'), apps['with-prop'])

  const lifetime = await page.evaluate(() => {
    const { expireAt, createdAt } = window.Clerk!.session!
    return expireAt.getTime() - createdAt.getTime()
  })
  expect(Math.round(lifetime / 1_000)).toBe(2 * DAY)
})

test('S2 — both limits off at once is refused, and nothing changes', async () => {
  const { body: before } = await getSessionSettings()

  const refused = await tryPatchSessionSettings({
    inactivity_timeout: { enabled: false },
    maximum_lifetime: { enabled: false },
  })

  expect(refused.status).toBe(422)
  expect(refused.body.errors[0].code).toBe('session_lifetime_required')
  expect((await getSessionSettings()).body).toEqual(before)
})

test('S3 — inactivity while closed: coming back asks to sign in again', async ({ page, apps }) => {
  await patchSessionSettings({ inactivity_timeout: { enabled: true, duration_seconds: 8 } })
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!

  await page.goto('about:blank')
  await seconds(9)
  await page.goto(apps['with-prop'])

  await expect(page.getByTestId('signed-out')).toBeVisible()
  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page).toHaveURL(/\/sign-in/)
  await expect.poll(() => sessionStatus(sessionId)).toBe('abandoned')
})

test('S3 — an open application refreshes its token, and that is activity', async ({ page, apps }) => {
  await patchSessionSettings({ inactivity_timeout: { enabled: true, duration_seconds: 8 } })
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!

  await seconds(12)

  await expect(page.getByTestId('signed-in')).toBeVisible()
  expect(await currentSessionId(page)).toBe(sessionId)
  expect(await sessionStatus(sessionId)).toBe('active')
})

test('S4 — maximum lifetime while open: activity does not lengthen it', async ({ page, apps }) => {
  await patchSessionSettings({ maximum_lifetime: { enabled: true, duration_seconds: 35 } })
  await patchSessionToken({ lifetime: 30 })
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!

  await seconds(22)
  await expect(page.getByTestId('signed-in')).toBeVisible()
  const token = await sessionCookie(page, apps['with-prop'])
  const { createdAt } = await clerk().sessions.getSession(sessionId)
  expect(token!.claims.exp, 'no token outlives its session').toBeLessThanOrEqual(createdAt / 1_000 + 35)

  await expect(page.getByTestId('signed-out')).toBeVisible({ timeout: 30_000 })
  await expect.poll(() => sessionStatus(sessionId)).toBe('expired')
})

test('S5 — with both limits on, the earlier one ends the session', async ({ page, apps }) => {
  await patchSessionSettings({
    inactivity_timeout: { enabled: true, duration_seconds: 600 },
    maximum_lifetime: { enabled: true, duration_seconds: 6 },
  })
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!

  await expect(page.getByTestId('signed-out')).toBeVisible({ timeout: 20_000 })
  // The browser is told in the last second, in which no token can be told any more.
  await expect.poll(() => sessionStatus(sessionId)).toBe('expired')
})
