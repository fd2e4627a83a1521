import type { Page } from '@playwright/test'
import { clerk, patchSessionSettings } from '../backend.ts'
import { currentSessionId, fillSignIn, signIn, user } from '../people.ts'
import { expect, requestsToOtherHosts, test } from '../test.ts'
import { seconds } from '../watching.ts'

// Not in the documentation of sessions: who is signed out is told why (D24, decision 11).

test.describe('in New York', () => {
  test.use({ timezoneId: 'America/New_York', locale: 'en-US' })

  test('reasoned ends — the sign-in page says when and why, to the browser that held the session only', async ({ page, browser, portal }) => {
    const alice = await user('alice')
    const violations = cspViolations(page)
    await signIn(page, alice, portal)
    const sessionId = (await currentSessionId(page))!
    await clerk().sessions.revokeSession(sessionId)

    await page.goto(`${portal}/sign-in`)

    const time = page.getByRole('status').locator('time')
    const at = new Date((await time.getAttribute('datetime'))!)
    const clock = at.toLocaleTimeString('en-US', { timeStyle: 'short', timeZone: 'America/New_York' })
    await expect(told(page)).toHaveText(`You were signed out at ${clock} by the application.`)
    expect(violations).toEqual([])

    const stranger = await browser.newContext()
    const outside = requestsToOtherHosts(stranger)
    const elsewhere = await stranger.newPage()
    await elsewhere.goto(`${portal}/sign-in`)
    await expect(elsewhere.locator('input[name="identifier"]:visible')).toBeVisible()
    await expect(told(elsewhere)).toHaveCount(0)
    expect(outside).toEqual([])
    await stranger.close()

    await fillSignIn(page, alice)
    await expect(told(page)).toHaveCount(0)
  })

  test('reasoned ends — the day is named when it is not today', async ({ page, portal }) => {
    await signIn(page, await user('alice'), portal)
    await clerk().sessions.revokeSession((await currentSessionId(page))!)
    const now = new Date()
    await page.clock.setFixedTime(new Date(now.getTime() + 86_400_000))

    await page.goto(`${portal}/sign-in`)

    const day = now.toLocaleDateString('en-US', { day: 'numeric', month: 'long', timeZone: 'America/New_York' })
    await expect(told(page)).toHaveText(new RegExp(`^You were signed out at \\S+\\s[AP]M on ${day} by the application\\.$`))
  })
})

test('reasoned ends — inactivity is told with its length', async ({ page, portal }) => {
  await patchSessionSettings({ inactivity_timeout: { enabled: true, duration_seconds: 4 } })
  await signIn(page, await user('alice'), portal)
  await page.goto('about:blank')
  await seconds(5)

  await page.goto(`${portal}/user`)

  await expect(page).toHaveURL(/\/sign-in/)
  await expect(told(page)).toHaveText(/^You were signed out at .+ after 4 seconds without activity\.$/)
})

test('reasoned ends — who signed out is told nothing', async ({ page, portal }) => {
  await signIn(page, await user('alice'), portal)

  await page.evaluate(() => (window.Clerk as any).signOut())

  await expect(page).toHaveURL(/\/sign-in/)
  await expect(page.locator('input[name="identifier"]:visible')).toBeVisible()
  await expect(told(page)).toHaveCount(0)
})

test('reasoned ends — the refusal of a token carries the reason, and the SDK signs out as ever', async ({ page, apps }) => {
  await signIn(page, await user('alice'), apps['with-prop'])
  const sessionId = (await currentSessionId(page))!
  await clerk().sessions.revokeSession(sessionId)

  const refused = page.waitForResponse((answer) => /\/tokens(\?|$)/.test(answer.url()) && answer.status() === 401)
  await page.evaluate(() => (window.Clerk as any).session.getToken({ skipCache: true }).catch(() => null))

  const { meta } = await (await refused).json()
  expect(meta.session_end).toMatchObject({
    session_id: sessionId,
    status: 'revoked',
    reason: 'revoked_by_backend',
    message: 'You were signed out by the application.',
  })
  expect(meta.client.object).toBe('client')
  await expect(page.getByTestId('signed-out')).toBeVisible()
})

function told(page: Page) {
  return page.getByText('You were signed out')
}

function cspViolations(page: Page): string[] {
  const violations: string[] = []
  page.on('console', (message) => {
    if (/content security policy/i.test(message.text())) violations.push(message.text())
  })
  return violations
}
