// People with an address of their own in every test, and what they do with the prebuilt components.
import { randomBytes } from 'node:crypto'
import { expect, type Page } from '@playwright/test'
import { clerk } from './backend.ts'

export interface Person {
  email: string
  password: string
}

export interface User extends Person {
  id: string
}

export function person(name: string): Person {
  return { email: `${name}.${randomBytes(5).toString('hex')}@example.com`, password: newPassword() }
}

/** Whose codes are 424242 and whose mail is never sent. */
export function testModePerson(name: string): Person {
  return { email: `${name}.${randomBytes(5).toString('hex')}+clerk_test@example.com`, password: newPassword() }
}

export function newPassword(): string {
  return `Sojourn-${randomBytes(6).toString('base64url')}`
}

export async function user(name: string, publicMetadata?: Record<string, unknown>): Promise<User> {
  const made = person(name)
  const { id } = await clerk().users.createUser({
    emailAddress: [made.email],
    password: made.password,
    publicMetadata,
  })
  return { ...made, id }
}

/** Opens the sign-in page of an app or of the portal and signs in there. */
export async function signIn(page: Page, who: Person, origin: string, query = ''): Promise<void> {
  await page.goto(`${origin}/sign-in${query}`)
  await fillSignIn(page, who)
}

/** From the first card of `<SignIn />` to the page it leads to. */
export async function fillSignIn(page: Page, who: Person): Promise<void> {
  await submitIdentifier(page, who)
  await submitPassword(page, who.password)
  await leavesSignIn(page)
}

export async function submitIdentifier(page: Page, who: Person): Promise<void> {
  await page.locator('input[name="identifier"]:visible').fill(who.email)
  await continueButton(page).click()
}

export async function submitPassword(page: Page, password: string): Promise<void> {
  await expect(page).toHaveURL(/factor-one/)
  await page.locator('input[name="password"]:visible').fill(password)
  await continueButton(page).click()
}

export async function leavesSignIn(page: Page): Promise<void> {
  await page.waitForURL((url) => !url.pathname.startsWith('/sign-'))
  await clerkIsLoaded(page)
}

export async function fillSignUp(page: Page, who: Person): Promise<void> {
  await page.locator('input[name="emailAddress"]').fill(who.email)
  await page.locator('input[name="password"]').fill(who.password)
  await continueButton(page).click()
}

export async function enterCode(page: Page, code: string): Promise<void> {
  await page.getByLabel('Enter verification code').pressSequentially(code, { delay: 20 })
}

export async function clerkIsLoaded(page: Page): Promise<void> {
  await page.waitForFunction(() => window.Clerk?.loaded === true)
}

export async function currentSessionId(page: Page): Promise<string | undefined> {
  await clerkIsLoaded(page)
  return page.evaluate(() => window.Clerk!.session?.id)
}

export function continueButton(page: Page) {
  return page.getByRole('button', { name: 'Continue', exact: true })
}

declare global {
  interface Window {
    Clerk?: {
      loaded: boolean
      session?: { id: string; status: string; expireAt: Date; createdAt: Date } | null
      client: any
    }
  }
}
