import { clerk, endAllSessions } from '../backend.ts'
import { currentSessionId, signIn, user } from '../people.ts'
import { expect, test } from '../test.ts'

test('SES-17 — who is signed out with everybody learns of it in the open tab, and may come back at once', async ({
  page,
  browser,
  apps,
  portal,
}) => {
  const [alice, bob] = [await user('alice'), await user('bob')]
  const elsewhere = await browser.newPage()
  await signIn(elsewhere, bob, portal)
  const his = (await currentSessionId(elsewhere))!
  await signIn(page, alice, apps['with-prop'])
  const hers = (await currentSessionId(page))!

  const { revoked_at: at } = await endAllSessions()

  await page.evaluate(() => (window.Clerk as any).session.getToken({ skipCache: true }).catch(() => null))
  await expect(page.getByTestId('signed-out')).toBeVisible()
  await page.goto(`${portal}/sign-in`)
  await expect(page.getByText('You were signed out')).toHaveText(/^You were signed out at .+ by an administrator\.$/)
  await elsewhere.goto(`${portal}/user`)
  await expect(elsewhere).toHaveURL(/\/sign-in/)
  for (const id of [hers, his]) {
    const session = await clerk().sessions.getSession(id)
    expect([session.status, session.updatedAt >= at]).toEqual(['revoked', true])
  }

  await signIn(page, alice, apps['with-prop'])
  expect(await currentSessionId(page)).not.toBe(hers)
  await elsewhere.close()
})
