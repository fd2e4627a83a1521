'use client'

// On the client, because a session may end while the page is open; the server rendered what was true before.
import Link from 'next/link'
import { Show, useUser } from '@clerk/nextjs'

export default function CurrentUser() {
  const { user } = useUser()

  return (
    <>
      <Show when="signed-out">
        <p data-testid="signed-out">
          Nobody is signed in. <Link href="/sign-in">Sign in</Link> or <Link href="/sign-up">make an account</Link>.
        </p>
      </Show>
      <Show when="signed-in">
        <p data-testid="signed-in">
          Signed in as <strong data-testid="current-user">{user?.primaryEmailAddress?.emailAddress}</strong>. Open the
          round button above to add an account or to switch.
        </p>
      </Show>
    </>
  )
}
