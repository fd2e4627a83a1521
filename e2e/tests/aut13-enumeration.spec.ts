import type { Page } from '@playwright/test'
import { mailedCode, mailedSubjects, patchEnumerationProtection } from '../backend.ts'
import { enterCode, fillSignUp, leavesSignIn, person, signIn, submitIdentifier, user, type Person } from '../people.ts'
import { expect, test } from '../test.ts'

test.beforeEach(() => patchEnumerationProtection('strict'))

test('AUT-13 — the sign-in page looks the same with and without an account', async ({ page, portal }) => {
  const [alice, nobody] = [await user('alice'), person('alice')]

  const known = await everyCard(page, portal, { ...alice, password: 'wrong-horse-battery' })
  await page.context().clearCookies()
  const unknown = await everyCard(page, portal, nobody)

  expect(unknown).toEqual(known)
  expect(known[1]).toContain('incorrect')
  expect(await mailedSubjects(alice.email)).toEqual([expect.stringContaining('is your code')])
  expect(await mailedSubjects(nobody.email)).toEqual([expect.stringContaining('There is no account')])
})

test('AUT-13 — who has an account signs in as ever', async ({ page, portal }) => {
  const alice = await user('alice')

  await signIn(page, alice, portal)
})

test('AUT-13 — signing up with a taken address asks for a code that the owner is not sent', async ({ page, portal }) => {
  const alice = await user('alice')
  await page.goto(`${portal}/sign-up`)
  await fillSignUp(page, { ...person('eve'), email: alice.email })

  await expect(page).toHaveURL(/verify-email-address/)
  await expect
    .poll(() => mailedSubjects(alice.email))
    .toEqual([expect.stringContaining('You have an account already')])
})

test('AUT-13 — signing up with a free address works as ever', async ({ page, portal }) => {
  const carol = person('carol')
  await page.goto(`${portal}/sign-up`)
  await fillSignUp(page, carol)
  await enterCode(page, await mailedCode(carol.email))

  await leavesSignIn(page)
})

/** The texts of the cards from the address to the code, after a wrong password. */
async function everyCard(page: Page, portal: string, who: Person): Promise<string[]> {
  const card = page.locator('.cl-cardBox').first()
  const text = async () => (await card.innerText()).replaceAll(who.email, 'the address').replace(/\(\d+\)/, '(…)')
  await page.goto(`${portal}/sign-in`)
  await submitIdentifier(page, who)
  await expect(page).toHaveURL(/factor-one/)
  const texts = [await text()]
  await page.locator('input[name="password"]:visible').fill(who.password)
  await page.getByRole('button', { name: 'Continue', exact: true }).click()
  await expect(card).toContainText('incorrect')
  texts.push(await text())
  await page.getByRole('link', { name: 'Use another method' }).click()
  await expect(card).toContainText('Email code')
  texts.push(await text())
  await page.getByRole('button', { name: /Email code/ }).click()
  await expect(card).toContainText('Check your email')
  texts.push(await text())
  return texts
}
