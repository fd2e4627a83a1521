import type { Page } from '@playwright/test'
import { clerk, patchSessionSettings, patchSessionToken, sessionStatus } from '../backend.ts'
import { clerkIsLoaded, currentSessionId, fillSignIn, signIn, submitIdentifier, user, type User } from '../people.ts'
import { expect, test } from '../test.ts'
import { addAccount, openUserButton, switchTo } from '../user-button.ts'
import { sessionCookie } from '../watching.ts'

test('S8 — single-session mode is the default: the sign-in page sends a signed-in user away', async ({ page, apps }) => {
  await signIn(page, await user('alice'), apps['with-prop'])

  await page.goto(`${apps['with-prop']}/sign-in`)

  await expect(page).toHaveURL(`${apps['with-prop']}/`)
  const panel = await openUserButton(page)
  await expect(panel.getByText('Add account')).toHaveCount(0)
})

test('S8 — single-session mode refuses a second account on the wire too', async ({ page, apps }) => {
  await signIn(page, await user('alice'), apps['with-prop'])

  expect(await refusedSignIn(page, await user('bob'))).toMatchObject({ code: 'session_exists' })
  expect(await page.evaluate(() => window.Clerk!.client.sessions.length)).toBe(1)
})

test.describe('with multi-session on', () => {
  test.beforeEach(() => patchSessionSettings({ multi_session_enabled: true }))

  test('S8 — a second account is added, and switching remounts the tree', async ({ page, apps }) => {
    const [alice, bob] = [await user('alice'), await user('bob')]
    await signIn(page, alice, apps['with-prop'])
    await expect(page.getByTestId('current-user')).toHaveText(alice.email)

    await addAccount(page)
    await expect(page).toHaveURL(/\/sign-in/)
    await fillSignIn(page, bob)
    await expect(page.getByTestId('current-user')).toHaveText(bob.email)

    const before = Number(await page.getByTestId('mount-count').textContent())
    await page.getByTestId('note').fill('what Bob wrote')
    await page.evaluate(() => Object.assign(window, { sameDocument: true }))
    await switchTo(page, alice)

    await expect(page.getByTestId('current-user')).toHaveText(alice.email)
    await expect(page.getByTestId('note')).toHaveValue('')
    expect(Number(await page.getByTestId('mount-count').textContent())).toBeGreaterThan(before)
    expect(await page.evaluate(() => 'sameDocument' in window), 'no page was loaded for it').toBe(true)
  })

  test('S8 — a reload keeps the chosen account, in the browser and on the server', async ({ page, apps }) => {
    const [alice, bob] = await aliceAndBob(page, apps['with-prop'])
    await page.goto(`${apps['with-prop']}/protected`)
    await expect(page.getByTestId('user-id')).toHaveText(bob.id)

    await switchTo(page, alice)
    await expect(page.getByTestId('user-id')).toHaveText(alice.id)
    await page.reload()

    await expect(page.getByTestId('user-id')).toHaveText(alice.id)
    await clerkIsLoaded(page)
    expect((await sessionCookie(page, apps['with-prop']))!.claims.sub).toBe(alice.id)
  })

  test('S8 — the accounts are independent: revoking one leaves the other', async ({ page, apps }) => {
    await patchSessionToken({ lifetime: 10 })
    const [alice, bob] = await aliceAndBob(page, apps['with-prop'])
    const bobsSession = (await currentSessionId(page))!

    await clerk().sessions.revokeSession(bobsSession)
    await expect(page.getByTestId('signed-out')).toBeVisible({ timeout: 30_000 })
    await page.reload()

    await expect(page.getByTestId('current-user')).toHaveText(alice.email)
    expect(await sessionStatus((await currentSessionId(page))!)).toBe('active')
    expect(bob.id).not.toBe(alice.id)
  })

  test('S8 — the same user again is refused and taken to the session that is there', async ({ page, apps }) => {
    const alice = await user('alice')
    await signIn(page, alice, apps['with-prop'])
    const sessionId = await currentSessionId(page)

    expect(await refusedSignIn(page, alice)).toMatchObject({ code: 'identifier_already_signed_in', sessionId })

    await page.goto(`${apps['with-prop']}/sign-in`)
    await submitIdentifier(page, alice)
    await expect(page).toHaveURL(`${apps['with-prop']}/`)
    expect(await currentSessionId(page)).toBe(sessionId)
  })

  test('S8 — multi-session switched off ends nobody and admits no second account', async ({ page, apps }) => {
    await aliceAndBob(page, apps['with-prop'])

    await patchSessionSettings({ multi_session_enabled: false })
    await page.reload()
    await clerkIsLoaded(page)

    expect(await page.evaluate(() => window.Clerk!.client.sessions.length)).toBe(2)
    expect(await refusedSignIn(page, await user('carol'))).toMatchObject({ code: 'session_exists' })
  })

  test('S9 — a flow of one’s own lists the sessions and makes another one active', async ({ page, apps }) => {
    const [alice, bob] = await aliceAndBob(page, apps['with-prop'])
    await page.goto(`${apps['with-prop']}/accounts`)
    await expect(page.getByTestId('account')).toHaveCount(2)
    await expect(account(page, bob)).toHaveAttribute('data-current', 'true')

    await account(page, alice).getByRole('button', { name: 'Switch to this account' }).click()

    await expect(account(page, alice)).toHaveAttribute('data-current', 'true')
    await expect(account(page, bob)).toHaveAttribute('data-current', 'false')
    const whoami = await page.evaluate(() => fetch('/api/whoami').then((answer) => answer.json()))
    expect(whoami).toEqual({ userId: alice.id, sessionId: await currentSessionId(page) })
  })

  test('S9 — signOut(sessionId) of another account stays on the page', async ({ page, apps }) => {
    const [alice, bob] = await aliceAndBob(page, apps['with-prop'])
    await page.goto(`${apps['with-prop']}/accounts`)

    await account(page, alice).getByRole('button', { name: 'Sign out' }).click()

    await expect(page.getByTestId('account')).toHaveCount(1)
    await expect(account(page, bob)).toHaveAttribute('data-current', 'true')
    expect(page.url()).toBe(`${apps['with-prop']}/accounts`)
  })

  test('S9 — signOut() signs out of every account', async ({ page, apps }) => {
    await aliceAndBob(page, apps['with-prop'])
    await page.goto(`${apps['with-prop']}/accounts`)

    await page.getByRole('button', { name: 'Sign out of all accounts' }).click()

    await expect(page).toHaveURL(`${apps['with-prop']}/`)
    await expect(page.getByTestId('signed-out')).toBeVisible()
  })
})

async function aliceAndBob(page: Page, app: string): Promise<[User, User]> {
  const [alice, bob] = [await user('alice'), await user('bob')]
  await signIn(page, alice, app)
  await signIn(page, bob, app)
  return [alice, bob]
}

function account(page: Page, who: User) {
  return page.locator(`[data-testid="account"][data-email="${who.email}"]`)
}

function refusedSignIn(page: Page, { email, password }: User): Promise<{ code?: string; sessionId?: string }> {
  return page.evaluate(
    (given) =>
      window.Clerk!.client.signIn.create(given).then(
        () => ({}),
        (error: any) => ({ code: error.errors?.[0]?.code, sessionId: error.errors?.[0]?.meta?.sessionId }),
      ),
    { identifier: email, password },
  )
}
