import { auth } from '@clerk/nextjs/server'

export const metadata = { title: 'Protected' }

export default async function Protected() {
  const { isAuthenticated, redirectToSignIn, sessionClaims, userId } = await auth()
  if (!isAuthenticated) return redirectToSignIn()

  return (
    <>
      <h1>Protected</h1>
      <p>
        The server verified the session token of <code data-testid="user-id">{userId}</code> before it rendered this
        page. These are its claims:
      </p>
      <pre data-testid="claims" tabIndex={0} aria-label="Claims of the session token">
        {JSON.stringify(sessionClaims, null, 2)}
      </pre>
    </>
  )
}
