import type { Page } from '@playwright/test'
import { patchSessionToken, tryPatchSessionToken } from '../backend.ts'
import { signIn, user } from '../people.ts'
import { expect, test } from '../test.ts'

test('S12 — a session token carries its default claims', async ({ page, apps }) => {
  const alice = await user('alice')
  await signIn(page, alice, apps['with-prop'])

  const claims = await claimsOnTheServer(page, apps['with-prop'])

  expect(Object.keys(claims)).toEqual(
    expect.arrayContaining(['azp', 'exp', 'fva', 'iat', 'iss', 'jti', 'nbf', 'sid', 'sts', 'sub', 'v']),
  )
  expect(claims).toMatchObject({ sub: alice.id, sts: 'active', v: 2, iss: expect.stringMatching(/^https:\/\//) })
  expect(claims.exp - claims.iat).toBe(60)
})

test('S12 — claims of one’s own are in the next token', async ({ page, apps }) => {
  await patchSessionToken({
    claims: {
      app: 'example',
      mail: '{{user.primary_email_address}}',
      role: "{{user.public_metadata.role || 'guest'}}",
    },
  })
  const alice = await user('alice', { role: 'admin' })
  await signIn(page, alice, apps['with-prop'])

  expect(await claimsOnTheServer(page, apps['with-prop'])).toMatchObject({
    app: 'example',
    mail: alice.email,
    role: 'admin',
  })
})

test('S12 — a shortcode without a value falls back to its default', async ({ page, apps }) => {
  await patchSessionToken({ claims: { role: "{{user.public_metadata.role || 'guest'}}" } })
  await signIn(page, await user('bob'), apps['with-prop'])

  expect(await claimsOnTheServer(page, apps['with-prop'])).toMatchObject({ role: 'guest' })
})

test('S12 — a reserved name is refused', async () => {
  const refused = await tryPatchSessionToken({ claims: { sub: 'somebody else' } })

  expect(refused.status).toBe(400)
  expect(refused.body.errors[0].code).toBe('jwt_template_reserved_claim')
})

async function claimsOnTheServer(page: Page, app: string): Promise<any> {
  await page.goto(`${app}/protected`)
  return JSON.parse((await page.getByTestId('claims').textContent())!)
}
