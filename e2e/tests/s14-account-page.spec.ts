import type { Locator, Page } from '@playwright/test'
import { clerk, mailedCode, sessionStatuses } from '../backend.ts'
import {
  currentSessionId,
  enterCode,
  fillSignUp,
  leavesSignIn,
  newPassword,
  person,
  signIn,
  submitIdentifier,
  testModePerson,
  user,
} from '../people.ts'
import { expect, requestsToOtherHosts, test } from '../test.ts'

test('S14 — an account from its sign-up to its end, on the account page alone', async ({ page, portal, browser }) => {
  const alice = person('alice')
  const newAddress = person('countess').email
  await page.goto(`${portal}/sign-up`)
  await fillSignUp(page, alice)
  await enterCode(page, await mailedCode(alice.email))
  await leavesSignIn(page)

  await page.goto(`${portal}/user`)
  await test.step('a new address is proved by its code', async () => {
    await page.getByRole('button', { name: 'Add email address' }).click()
    await page.locator('input[name="emailAddress"]').fill(newAddress)
    await page.getByRole('button', { name: 'Add', exact: true }).click()
    await expect(page.getByText(`Enter the verification code sent to ${newAddress}`)).toBeVisible()
    await expect(address(page, newAddress)).toContainText('Unverified')
    await enterCode(page, await mailedCode(newAddress))
    await expect(page.getByLabel('Enter verification code')).toHaveCount(0)
    await expect(address(page, newAddress)).not.toContainText('Unverified')
  })

  await test.step('it becomes the primary one, and the old one goes', async () => {
    await choose(page, alice.email, 'Remove email')
    // On a loaded machine a click meets the card while it moves in, and the component drops it.
    await expect(async () => {
      await page.getByRole('button', { name: 'Remove', exact: true }).click()
      await expect(page.getByText('The primary address cannot be removed.')).toBeVisible({ timeout: 5000 })
    }).toPass()
    await page.getByRole('button', { name: 'Cancel' }).click()

    await choose(page, newAddress, 'Set as primary')
    await expect(address(page, newAddress)).toContainText('Primary')
    await choose(page, alice.email, 'Remove email')
    await page.getByRole('button', { name: 'Remove', exact: true }).click()
    await expect(address(page, alice.email)).toHaveCount(0)
  })

  await test.step('the name changes', async () => {
    await page.getByRole('button', { name: 'Update profile' }).click()
    await page.locator('input[name="firstName"]').fill('Augusta')
    await page.locator('input[name="lastName"]').fill('King')
    await expect(page.getByRole('button', { name: 'Upload' })).toBeHidden()
    await expect(page.locator('.cl-avatarImageActionsRemove')).toHaveCount(0)
    await page.getByRole('button', { name: 'Save' }).click()
    await expect(page.locator('.cl-profileSection__profile')).toContainText('Augusta King')
  })

  const { data: found } = await clerk().users.getUserList({ emailAddress: [newAddress] })
  const userId = found[0]!.id
  const elsewhere = await browser.newContext()
  const outside = requestsToOtherHosts(elsewhere)
  const phone = await elsewhere.newPage()
  await signIn(phone, { ...alice, email: newAddress }, portal)

  await test.step('the devices are listed, and a new password ends the other one', async () => {
    await page.goto(`${portal}/user/security`)
    await expect(page.locator('.cl-activeDeviceListItem')).toHaveCount(2)
    const password = newPassword()
    await page.getByRole('button', { name: 'Update password' }).click()
    await page.locator('input[name="currentPassword"]').fill(newPassword())
    await page.locator('input[name="newPassword"]').fill(password)
    await page.locator('input[name="confirmPassword"]').fill(password)
    await page.getByRole('button', { name: 'Save' }).click()
    await expect(page.getByText('Password is incorrect.').first()).toBeVisible()
    await page.locator('input[name="currentPassword"]').fill(alice.password)
    await page.getByRole('button', { name: 'Save' }).click()
    await expect(page.locator('input[name="currentPassword"]')).toHaveCount(0)
    expect(await sessionStatuses(userId)).toEqual(['revoked', 'active'])
    alice.password = password
  })

  await test.step('the account is deleted, and nobody is signed in any more', async () => {
    await signIn(phone, { ...alice, email: newAddress }, portal)
    await page.getByRole('button', { name: 'Delete account' }).click()
    await page.locator('input[name="deleteConfirmation"]').fill('Delete account')
    await page.getByRole('button', { name: 'Delete account' }).last().click()
    await expect(page).toHaveURL((url) => url.pathname.startsWith('/sign-in'))
    expect(await currentSessionId(page)).toBeUndefined()
    await phone.goto(`${portal}/user`)
    await expect(phone).toHaveURL((url) => url.pathname.startsWith('/sign-in'))
    await submitIdentifier(phone, { ...alice, email: newAddress })
    await expect(phone.getByText('There is no account with this e-mail address.').first()).toBeVisible()
    await expect(clerk().users.getUser(userId)).rejects.toMatchObject({ status: 404 })
  })

  expect(outside).toEqual([])
  await elsewhere.close()
})

test('S14 — a wrong code proves no address', async ({ page, portal }) => {
  const alice = await user('alice')
  const added = testModePerson('countess').email
  await signIn(page, alice, portal)
  await page.goto(`${portal}/user`)
  await page.getByRole('button', { name: 'Add email address' }).click()
  await page.locator('input[name="emailAddress"]').fill(added)
  await page.getByRole('button', { name: 'Add', exact: true }).click()

  await enterCode(page, '000000')

  await expect(page.getByText('Incorrect code').first()).toBeVisible()
  await expect(address(page, added)).toContainText('Unverified')
})

function address(page: Page, email: string): Locator {
  return page.locator('.cl-profileSectionItem__emailAddresses').filter({ hasText: email })
}

async function choose(page: Page, email: string, action: string): Promise<void> {
  await address(page, email).getByRole('button').click()
  await page.getByRole('menuitem', { name: action }).click()
}
