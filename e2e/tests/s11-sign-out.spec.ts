import type { Page } from '@playwright/test'
import { patchSessionSettings, sessionStatus, sessionStatuses } from '../backend.ts'
import { clerkIsLoaded, currentSessionId, signIn, user, type User } from '../people.ts'
import { expect, test } from '../test.ts'
import { signOutOfAllAccounts, signOutOfThisAccount } from '../user-button.ts'

test.beforeEach(() => patchSessionSettings({ multi_session_enabled: true }))

test('S11 — with afterMultiSessionSingleSignOutUrl, signing out of one account leads there', async ({ page, apps }) => {
  const { alice } = await bobSignsOut(page, apps['with-prop'])

  await expect(page).toHaveURL(`${apps['with-prop']}/`)
  // The SDK chooses nobody in the open page; the next page load takes the account that is left.
  await page.reload()
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)
})

test('S11 — without it but with a sign-in URL, it leads to that URL’s /choose', async ({ page, apps }) => {
  const { alice, bob } = await bobSignsOut(page, apps['sign-in-url'])

  await expect(page).toHaveURL(`${apps['sign-in-url']}/sign-in/choose`)
  await expect(choice(page, bob)).toHaveCount(0)
  await choice(page, alice).click()

  await expect(page).toHaveURL(`${apps['sign-in-url']}/`)
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)
})

test('S11 — with neither, it leads to the portal’s /sign-in/choose', async ({ page, apps, portal }) => {
  const { alice, bob } = await bobSignsOut(page, apps['without-prop'])

  await expect(page).toHaveURL((url) => url.origin === portal && url.pathname === '/sign-in/choose')
  await expect(choice(page, bob)).toHaveCount(0)
  await choice(page, alice).click()

  await expect(page).toHaveURL((url) => url.origin === apps['without-prop'])
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)
})

test('S11 — signOut() in code follows another rule: it leads to /', async ({ page, apps }) => {
  const alice = await user('alice')
  const bob = await user('bob')
  await signIn(page, alice, apps['sign-in-url'])
  await signIn(page, bob, apps['sign-in-url'])
  await page.goto(`${apps['sign-in-url']}/accounts`)

  const current = page.locator('[data-testid="account"][data-current="true"]')
  await current.getByRole('button', { name: 'Sign out' }).click()

  await expect(page).toHaveURL(`${apps['sign-in-url']}/`)
})

test('S11 — signing out of all accounts ends every session of the browser', async ({ context, page, apps }) => {
  const alice = await user('alice')
  const bob = await user('bob')
  await signIn(page, alice, apps['with-prop'])
  await signIn(page, bob, apps['with-prop'])

  await signOutOfAllAccounts(page)

  await expect(page.getByTestId('signed-out')).toBeVisible()
  await expect(page).toHaveURL(`${apps['with-prop']}/`)
  for (const who of [alice, bob]) expect(await sessionStatuses(who.id)).toEqual(['removed'])
  const uat = (await context.cookies()).filter(({ name }) => name.startsWith('__client_uat'))
  expect(uat.map(({ value }) => value)).toEqual(uat.map(() => '0'))
})

test('S11 — a second tab hears the sign-out', async ({ context, page, apps }) => {
  await signIn(page, await user('alice'), apps['with-prop'])
  const second = await context.newPage()
  await second.goto(apps['with-prop'])
  await expect(second.getByTestId('signed-in')).toBeVisible()
  await clerkIsLoaded(second)

  await signOutOfThisAccount(page)

  await expect(page.getByTestId('signed-out')).toBeVisible()
  await expect(second.getByTestId('signed-out')).toBeVisible()
})

test('S11 — /choose lists the accounts and switches, on the app and on the portal', async ({ page, apps, portal }) => {
  const alice = await user('alice')
  const bob = await user('bob')
  await signIn(page, alice, apps['with-prop'])
  await signIn(page, bob, apps['with-prop'])

  await page.goto(`${apps['with-prop']}/sign-in/choose`)
  await choice(page, alice).click()
  await expect(page).toHaveURL(`${apps['with-prop']}/`)
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)

  const back = `${apps['with-prop']}/protected`
  await page.goto(`${portal}/sign-in/choose?redirect_url=${encodeURIComponent(back)}`)
  await choice(page, bob).click()
  await expect(page).toHaveURL(back)
  await expect(page.getByTestId('user-id')).toHaveText(bob.id)
})

/** Alice and Bob sign in; Bob, who is the current one, signs out with the UserButton. */
async function bobSignsOut(page: Page, app: string): Promise<{ alice: User; bob: User }> {
  const alice = await user('alice')
  const bob = await user('bob')
  await signIn(page, alice, app)
  const alicesSession = (await currentSessionId(page))!
  await signIn(page, bob, app)
  await page.goto(`${app}/protected`)
  const bobsSession = (await currentSessionId(page))!

  await signOutOfThisAccount(page)

  await expect.poll(() => sessionStatus(bobsSession)).toBe('removed')
  expect(await sessionStatus(alicesSession)).toBe('active')
  return { alice, bob }
}

function choice(page: Page, who: User) {
  return page.locator('.cl-rootBox, .cl-card').getByRole('button').filter({ hasText: who.email }).first()
}
