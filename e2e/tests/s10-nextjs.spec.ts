import { clerk, mailedCode, patchSessionToken, sessionStatus } from '../backend.ts'
import {
  clerkIsLoaded,
  currentSessionId,
  enterCode,
  fillSignUp,
  leavesSignIn,
  newPassword,
  person,
  signIn,
  submitIdentifier,
  submitPassword,
  testModePerson,
  user,
} from '../people.ts'
import { expect, test } from '../test.ts'
import { HANDSHAKE, requestsTo, seconds, sessionCookie, TOKENS } from '../watching.ts'

test('S10 — the app loads with nobody signed in', async ({ context, page, apps }) => {
  const handshakes = requestsTo(context, HANDSHAKE)

  await page.goto(apps['with-prop'])

  await clerkIsLoaded(page)
  await expect(page.getByTestId('signed-out')).toBeVisible()
  expect(handshakes).toHaveLength(0)
  expect(await page.evaluate(() => fetch('/api/whoami').then((answer) => answer.json()))).toEqual({
    userId: null,
    sessionId: null,
  })
})

test('S10 — signing up takes the code from the mail', async ({ page, apps }) => {
  const carol = person('carol')
  await page.goto(`${apps['with-prop']}/sign-up`)
  await fillSignUp(page, carol)
  await expect(page).toHaveURL(/verify-email-address/)

  await enterCode(page, await mailedCode(carol.email))

  await leavesSignIn(page)
  await expect(page.getByTestId('current-user')).toHaveText(carol.email)
  const { data } = await clerk().users.getUserList({ emailAddress: [carol.email] })
  expect(data[0]!.emailAddresses[0]!.verification?.status).toBe('verified')
})

test('S10 — signing up with a test address takes the fixed code', async ({ page, apps }) => {
  const carol = testModePerson('carol')
  await page.goto(`${apps['with-prop']}/sign-up`)
  await fillSignUp(page, carol)

  await enterCode(page, '424242')

  await leavesSignIn(page)
  await expect(page.getByTestId('current-user')).toHaveText(carol.email)
})

test('S10 — signing in through the prebuilt page, and auth() knows it on the server', async ({ page, apps }) => {
  const alice = await user('alice')
  await signIn(page, alice, apps['with-prop'])
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)

  await page.goto(`${apps['with-prop']}/protected`)

  const claims = JSON.parse((await page.getByTestId('claims').textContent())!)
  expect(claims).toMatchObject({ sub: alice.id, sid: await currentSessionId(page), azp: apps['with-prop'], v: 2 })
})

test('S10 — a protected page asks to sign in and comes back', async ({ page, apps }) => {
  const alice = await user('alice')
  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page).toHaveURL(/\/sign-in/)

  await submitIdentifier(page, alice)
  await submitPassword(page, alice.password)

  await expect(page).toHaveURL(`${apps['with-prop']}/protected`)
  await expect(page.getByTestId('user-id')).toHaveText(alice.id)
})

test('S10 — a wrong password shows an error and signs nobody in', async ({ page, apps }) => {
  const alice = await user('alice')
  await page.goto(`${apps['with-prop']}/sign-in`)
  await submitIdentifier(page, alice)

  await submitPassword(page, 'not-the-password')

  await expect(page.locator('.cl-formFieldErrorText')).toContainText(/password is incorrect/i)
  expect(await currentSessionId(page)).toBeUndefined()
})

test('S10 — a forgotten password is set anew with the code from the mail', async ({ page, apps }) => {
  const alice = await user('alice')
  await page.goto(`${apps['with-prop']}/sign-in`)
  await submitIdentifier(page, alice)
  await page.getByText('Forgot password?').click()
  await page.getByRole('button', { name: 'Reset your password' }).click()
  await enterCode(page, await mailedCode(alice.email))

  const password = newPassword()
  await page.locator('input[name="password"]:visible').fill(password)
  await page.locator('input[name="confirmPassword"]').fill(password)
  await page.getByRole('button', { name: 'Reset Password' }).click()

  await leavesSignIn(page)
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)
  await expect(clerk().users.verifyPassword({ userId: alice.id, password })).resolves.toMatchObject({ verified: true })
})

test('S10 — an open tab refreshes its token', async ({ context, page, apps }) => {
  await patchSessionToken({ lifetime: 30 })
  await signIn(page, await user('alice'), apps['with-prop'])
  const refreshes = requestsTo(context, TOKENS)
  const before = (await sessionCookie(page, apps['with-prop']))!
  expect(before.claims.exp - before.claims.iat).toBe(30)

  await expect.poll(() => refreshes.length, { timeout: 35_000 }).toBeGreaterThan(0)

  await expect.poll(async () => (await sessionCookie(page, apps['with-prop']))!.claims.exp).toBeGreaterThan(before.claims.exp)
  expect((await sessionCookie(page, apps['with-prop']))!.claims.sid).toBe(before.claims.sid)
})

test('S10 — an expired token costs one handshake on the next navigation', async ({ context, page, apps }) => {
  await patchSessionToken({ lifetime: 10 })
  const alice = await user('alice')
  await signIn(page, alice, apps['with-prop'])
  await page.goto('about:blank')
  const { claims } = (await sessionCookie(page, apps['with-prop']))!
  // The SDK forgives five seconds of difference between two clocks.
  await seconds(Math.max(0, claims.exp + 6 - Date.now() / 1_000))
  const handshakes = requestsTo(context, HANDSHAKE)

  await page.goto(`${apps['with-prop']}/protected`)

  await expect(page.getByTestId('user-id')).toHaveText(alice.id)
  expect(handshakes).toHaveLength(1)
})

test('S10 — a lost token costs one handshake, the navigation after it none', async ({ context, page, apps }) => {
  const alice = await user('alice')
  await signIn(page, alice, apps['with-prop'])
  await page.goto('about:blank')
  await context.clearCookies({ name: /^__session/ })
  const handshakes = requestsTo(context, HANDSHAKE)

  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page.getByTestId('user-id')).toHaveText(alice.id)
  expect(handshakes).toHaveLength(1)

  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page.getByTestId('user-id')).toHaveText(alice.id)
  expect(handshakes).toHaveLength(1)
})

test('S10 — revoked by the Backend API, the open tab is signed out', async ({ page, apps }) => {
  await patchSessionToken({ lifetime: 10 })
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!

  await clerk().sessions.revokeSession(sessionId)

  await expect(page.getByTestId('signed-out')).toBeVisible({ timeout: 30_000 })
  await expect.poll(() => sessionStatus(sessionId)).toBe('revoked')
  await page.goto(`${apps['with-prop']}/protected`)
  await expect(page).toHaveURL(/\/sign-in/)
})
