// `<UserButton />` as a person uses it.
import { expect, type Locator, type Page } from '@playwright/test'
import { clerkIsLoaded, type Person } from './people.ts'

export async function openUserButton(page: Page): Promise<Locator> {
  await clerkIsLoaded(page)
  await page.getByRole('button', { name: 'Open user menu' }).click()
  const panel = page.getByRole('dialog', { name: 'Account panel' })
  await expect(panel).toBeVisible()
  return panel
}

export async function switchTo(page: Page, who: Person): Promise<void> {
  const panel = await openUserButton(page)
  await panel.getByRole('button').filter({ hasText: who.email }).click()
}

export async function addAccount(page: Page): Promise<void> {
  await choose(page, 'addAccount')
}

export async function signOutOfThisAccount(page: Page): Promise<void> {
  await choose(page, 'signOut')
}

export async function signOutOfAllAccounts(page: Page): Promise<void> {
  await choose(page, 'signOutAll')
}

async function choose(page: Page, action: string): Promise<void> {
  const panel = await openUserButton(page)
  await panel.locator(`.cl-userButtonPopoverActionButton__${action}`).click()
}
