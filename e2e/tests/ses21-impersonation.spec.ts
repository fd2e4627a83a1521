import type { Page } from '@playwright/test'
import { clerk, patchSessionSettings, sessionStatus } from '../backend.ts'
import { clerkIsLoaded, currentSessionId, signIn, user, type User } from '../people.ts'
import { expect, test } from '../test.ts'

test('SES-21 — an actor token is made and taken back by @clerk/backend', async ({ page }) => {
  const [alice, sam] = [await user('alice'), await user('sam')]

  const token = await actorToken(alice, sam)
  const revoked = await clerk().actorTokens.revoke(token.id)

  expect(token).toMatchObject({ status: 'pending', userId: alice.id, actor: { sub: sam.id } })
  expect(token.id).toMatch(/^act_/)
  expect(revoked).toMatchObject({ id: token.id, status: 'revoked' })
  await page.goto(token.url!)
  await expect(page.getByText('The link was taken back.')).toBeVisible()
  expect(await currentSessionId(page)).toBeUndefined()
})

test('SES-21 — its link signs the staff in as the user, and the app’s server is told who acts', async ({
  page,
  apps,
}) => {
  const [alice, sam] = [await user('alice'), await user('sam')]
  await signIn(page, sam, apps['with-prop'])
  const own = (await currentSessionId(page))!
  const before = await clerk().users.getUser(alice.id)

  // In single-session mode it takes the place of who is signed in.
  await follow(page, (await actorToken(alice, sam)).url!)

  expect(await sessionStatus(own)).toBe('removed')
  expect(await claimsOnTheServer(page, apps['with-prop'])).toMatchObject({
    sub: alice.id,
    act: { sub: sam.id },
    fva: [-1, -1],
  })
  await clerkIsLoaded(page)
  expect(await page.evaluate(() => (window.Clerk!.session as any).actor)).toEqual({ sub: sam.id })
  await expect(page.locator('.cl-impersonationFab')).toBeVisible()
  const session = await clerk().sessions.getSession((await currentSessionId(page))!)
  expect(session.actor).toEqual({ sub: sam.id })
  expect(session.expireAt - session.createdAt).toBe(900_000)
  expect((await clerk().users.getUser(alice.id)).lastSignInAt).toBe(before.lastSignInAt)
})

test('SES-21 — in multi-session mode the staff’s own account stays signed in beside it', async ({ page, apps }) => {
  await patchSessionSettings({ multi_session_enabled: true })
  const [alice, sam] = [await user('alice'), await user('sam')]
  await signIn(page, sam, apps['with-prop'])
  const own = (await currentSessionId(page))!

  await follow(page, (await actorToken(alice, sam)).url!)

  expect(await sessionStatus(own)).toBe('active')
  expect(await claimsOnTheServer(page, apps['with-prop'])).toMatchObject({ sub: alice.id, act: { sub: sam.id } })
  await clerkIsLoaded(page)
  await page.evaluate((session) => (window.Clerk as any).setActive({ session }), own)
  const claims = await claimsOnTheServer(page, apps['with-prop'])
  expect(claims.sub).toBe(sam.id)
  expect(claims).not.toHaveProperty('act')
})

function actorToken(as: User, who: User) {
  return clerk().actorTokens.create({
    userId: as.id,
    actor: { sub: who.id },
    expiresInSeconds: 600,
    sessionMaxDurationInSeconds: 900,
  })
}

async function follow(page: Page, link: string): Promise<void> {
  await page.goto(link)
  await page.waitForURL((url) => !url.pathname.startsWith('/sign-'))
}

async function claimsOnTheServer(page: Page, app: string): Promise<any> {
  await page.goto(`${app}/protected`)
  return JSON.parse((await page.getByTestId('claims').textContent())!)
}
