'use client'

import Link from 'next/link'
import { useClerk, useSession, useSessionList } from '@clerk/nextjs'

export default function AccountList() {
  const { client, signOut } = useClerk()
  const { isLoaded, setActive } = useSessionList()
  const { session: current } = useSession()

  if (!isLoaded || !client) return <p>Loading…</p>

  const sessions = client.sessions.filter((session) => session.status === 'active')
  return (
    <>
      {sessions.length === 0 && <p data-testid="no-accounts">Nobody is signed in.</p>}
      <ul className="accounts">
        {sessions.map((session) => {
          const email = session.user?.primaryEmailAddress?.emailAddress ?? session.publicUserData.identifier
          const isCurrent = session.id === current?.id
          return (
            <li key={session.id} className="card" data-testid="account" data-email={email} data-current={isCurrent}>
              <div className="account-name">
                <strong>{email}</strong>
                {isCurrent && <span className="badge">Current</span>}
              </div>
              <code>{session.id}</code>
              <div className="buttons">
                <button disabled={isCurrent} onClick={() => setActive({ session: session.id })}>
                  Switch to this account
                </button>
                <button onClick={() => signOut({ sessionId: session.id })}>Sign out</button>
              </div>
            </li>
          )
        })}
      </ul>
      <div className="buttons">
        <Link href="/sign-in" className="button">
          Add an account
        </Link>
        {sessions.length > 0 && <button onClick={() => signOut()}>Sign out of all accounts</button>}
      </div>
    </>
  )
}
