import type { Page } from '@playwright/test'
import { mailedCode } from '../backend.ts'
import {
  clerkIsLoaded,
  currentSessionId,
  enterCode,
  fillSignIn,
  fillSignUp,
  leavesSignIn,
  person,
  signIn,
  user,
} from '../people.ts'
import { expect, test } from '../test.ts'

test('S14 — signing in on the portal leads back to redirect_url', async ({ page, apps, portal }) => {
  const alice = await user('alice')
  const violations = cspViolations(page)
  const back = `${apps['with-prop']}/protected`
  await page.goto(`${portal}/sign-in?redirect_url=${encodeURIComponent(back)}`)

  await fillSignIn(page, alice)

  await expect(page).toHaveURL(back)
  await expect(page.getByTestId('user-id')).toHaveText(alice.id)
  expect(violations).toEqual([])
})

test('S14 — a foreign redirect_url is not followed', async ({ page, portal }) => {
  const alice = await user('alice')
  await page.goto(`${portal}/sign-in?redirect_url=${encodeURIComponent('https://evil.example/')}`)

  await fillSignIn(page, alice)

  expect(new URL(page.url()).hostname).toBe('localhost')
})

test('S14 — signing up on the portal', async ({ page, apps, portal }) => {
  const carol = person('carol')
  const violations = cspViolations(page)
  const back = `${apps['with-prop']}/protected`
  await page.goto(`${portal}/sign-up?redirect_url=${encodeURIComponent(back)}`)
  await fillSignUp(page, carol)
  await enterCode(page, await mailedCode(carol.email))

  await leavesSignIn(page)

  await expect(page).toHaveURL(back)
  expect(violations).toEqual([])
})

test('S14 — /user shows the account, its devices and signs out', async ({ page, apps, portal }) => {
  const alice = await user('alice')
  await signIn(page, alice, apps['with-prop'])
  const violations = cspViolations(page)

  await page.goto(`${portal}/user`)
  await expect(page.locator('.cl-userProfile-root').getByText(alice.email).first()).toBeVisible()
  await page.goto(`${portal}/user/security`)
  await expect(page.locator('.cl-profileSection__activeDevices')).toContainText('This device')

  expect(violations).toEqual([])
})

test('S14 — /user without a session asks to sign in', async ({ page, portal }) => {
  await page.goto(`${portal}/user`)

  await expect(page).toHaveURL((url) => url.origin === portal && url.pathname.startsWith('/sign-in'))
})

test('S14 — a portal step survives a reload', async ({ page, portal }) => {
  const alice = await user('alice')
  await page.goto(`${portal}/sign-in`)
  await page.locator('input[name="identifier"]:visible').fill(alice.email)
  await page.getByRole('button', { name: 'Continue', exact: true }).click()
  await expect(page).toHaveURL(/factor-one/)

  await page.reload()

  await clerkIsLoaded(page)
  await expect(page.locator('input[name="password"]:visible')).toBeVisible()
  expect(await currentSessionId(page)).toBeUndefined()
})

for (const path of ['/sign-in', '/sign-in/choose', '/sign-up', '/user']) {
  test(`S14 — ${path} comes with a content security policy that names no other host`, async ({ page, portal }) => {
    const answer = await page.request.get(portal + path)

    expect(answer.status()).toBe(200)
    const policy = answer.headers()['content-security-policy'] ?? ''
    expect(policy).toMatch(/script-src[^;]*'nonce-/)
    expect(policy).not.toMatch(/'unsafe-eval'|script-src[^;]*'unsafe-inline'/)
    expect(policy).toMatch(/frame-ancestors 'none'/)
    expect(policy).not.toMatch(/https?:\/\/(?!localhost|127\.0\.0\.1|\[::1\])/)
  })
}

function cspViolations(page: Page): string[] {
  const violations: string[] = []
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) violations.push(message.text())
  })
  return violations
}
