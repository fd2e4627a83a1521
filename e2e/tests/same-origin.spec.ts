import type { BrowserContext } from '@playwright/test'
import { patchSessionSettings, patchSessionToken, sessionStatus } from '../backend.ts'
import { currentSessionId, fillSignIn, signIn, user } from '../people.ts'
import { expect, test } from '../test.ts'
import { addAccount, signOutOfAllAccounts, signOutOfThisAccount, switchTo } from '../user-button.ts'
import { HANDSHAKE, requestsTo, sessionCookie, TOKENS } from '../watching.ts'

// The app hands /__clerk on to the server itself: the browser knows one origin only.

test('S10 — behind the app’s own /__clerk: load, sign in, auth() on the server, refresh, sign out', async ({
  context,
  page,
  apps,
}) => {
  const app = apps['same-origin']
  const elsewhere = requestsToOtherOrigins(context, app)
  await patchSessionToken({ lifetime: 30 })
  const alice = await user('alice')
  await page.goto(app)
  await expect(page.getByTestId('signed-out')).toBeVisible()

  await signIn(page, alice, app)
  await page.goto(`${app}/protected`)
  await expect(page.getByTestId('user-id')).toHaveText(alice.id)
  const before = (await sessionCookie(page, app))!
  const refreshes = requestsTo(context, TOKENS)
  await expect.poll(() => refreshes.length, { timeout: 35_000 }).toBeGreaterThan(0)
  await expect.poll(async () => (await sessionCookie(page, app))!.claims.exp).toBeGreaterThan(before.claims.exp)

  const sessionId = (await currentSessionId(page))!
  await signOutOfThisAccount(page)
  await expect(page.getByTestId('signed-out')).toBeVisible()
  await expect.poll(() => sessionStatus(sessionId)).toBe('removed')
  expect(elsewhere).toEqual([])
})

test('S10 — behind the app’s own /__clerk: a lost token costs one handshake', async ({ context, page, apps }) => {
  const app = apps['same-origin']
  const alice = await user('alice')
  await signIn(page, alice, app)
  await page.goto('about:blank')
  await context.clearCookies({ name: /^__session/ })
  const handshakes = requestsTo(context, HANDSHAKE)

  await page.goto(`${app}/protected`)

  await expect(page.getByTestId('user-id')).toHaveText(alice.id)
  expect(handshakes.map((request) => new URL(request.url()).origin)).toEqual([app])
})

test('S8 — behind the app’s own /__clerk: a second account, switching, signing out of all', async ({ page, apps }) => {
  const app = apps['same-origin']
  await patchSessionSettings({ multi_session_enabled: true })
  const [alice, bob] = [await user('alice'), await user('bob')]
  await signIn(page, alice, app)
  await addAccount(page)
  await fillSignIn(page, bob)
  await expect(page.getByTestId('current-user')).toHaveText(bob.email)

  await switchTo(page, alice)
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)
  await page.reload()
  await expect(page.getByTestId('current-user')).toHaveText(alice.email)

  await signOutOfAllAccounts(page)
  await expect(page.getByTestId('signed-out')).toBeVisible()
})

function requestsToOtherOrigins(context: BrowserContext, app: string): string[] {
  const elsewhere: string[] = []
  context.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol.startsWith('http') && url.origin !== app) elsewhere.push(request.url())
  })
  return elsewhere
}
