import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import AxeBuilder from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { clerk, patchSessionSettings } from '../backend.ts'
import { RESULTS } from '../folders.ts'
import { clerkIsLoaded, currentSessionId, signIn, user } from '../people.ts'
import { expect, test } from '../test.ts'
import { openUserButton } from '../user-button.ts'

// Pictures of every page to look at, and the accessibility of what this repository wrote itself.

const SCREENSHOTS = join(RESULTS, 'screenshots')
const WAYS = [
  { name: 'light', colorScheme: 'light', viewport: { width: 1280, height: 800 } },
  { name: 'dark', colorScheme: 'dark', viewport: { width: 1280, height: 800 } },
  { name: 'phone', colorScheme: 'light', viewport: { width: 390, height: 844 } },
] as const

for (const { name, colorScheme, viewport } of WAYS) {
  test.describe(name, () => {
    test.use({ colorScheme, viewport })
    test.beforeAll(() => mkdirSync(SCREENSHOTS, { recursive: true }))

    test(`every page can be looked at and used by everybody: signed out, ${name}`, async ({ page, apps, portal }) => {
      const app = apps['with-prop']
      await look(page, `${app}/`, `app-home-signed-out-${name}`)
      await look(page, `${app}/sign-in`, `app-sign-in-${name}`)
      await look(page, `${app}/sign-up`, `app-sign-up-${name}`)
      await look(page, `${app}/accounts`, `app-accounts-signed-out-${name}`)
      await look(page, `${portal}/sign-in`, `portal-sign-in-${name}`)
      await look(page, `${portal}/sign-up`, `portal-sign-up-${name}`)
    })

    test(`every page can be looked at and used by everybody: signed out by the server, ${name}`, async ({ page, portal }) => {
      await signIn(page, await user('alice'), portal)
      await clerk().sessions.revokeSession((await currentSessionId(page))!)
      await look(page, `${portal}/sign-in`, `portal-sign-in-ended-${name}`)
      await expect(page.getByRole('status').filter({ hasText: 'You were signed out' })).toBeVisible()
    })

    test(`every page can be looked at and used by everybody: two accounts, ${name}`, async ({ page, apps, portal }) => {
      const app = apps['with-prop']
      await patchSessionSettings({ multi_session_enabled: true })
      await signIn(page, await user('alice'), app)
      await signIn(page, await user('bob'), app)

      await look(page, `${app}/`, `app-home-signed-in-${name}`)
      await openUserButton(page)
      await shoot(page, `app-user-button-${name}`)
      await look(page, `${app}/protected`, `app-protected-${name}`)
      await look(page, `${app}/accounts`, `app-accounts-${name}`)
      await look(page, `${app}/sign-in/choose`, `app-choose-${name}`)
      await look(page, `${portal}/sign-in/choose`, `portal-choose-${name}`)
      await look(page, `${portal}/user`, `portal-user-${name}`)
    })
  })
}

async function look(page: Page, url: string, picture: string): Promise<void> {
  await page.goto(url)
  await clerkIsLoaded(page)
  if (/\/(sign-(in|up)|user)/.test(new URL(url).pathname)) await expect(page.locator('.cl-cardBox').first()).toBeVisible()
  await shoot(page, picture)

  const wide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
  expect(wide, `${picture} scrolls sideways`).toBe(false)

  // The prebuilt components are the vendor's; what surrounds them is ours.
  const { violations } = await new AxeBuilder({ page }).exclude('.cl-rootBox').analyze()
  const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  expect(
    grave.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`),
    picture,
  ).toEqual([])
}

async function shoot(page: Page, picture: string): Promise<void> {
  await page.screenshot({ path: join(SCREENSHOTS, `${picture}.png`), fullPage: true, animations: 'disabled' })
}
