'use client'

import Link from 'next/link'
import { Show, UserButton } from '@clerk/nextjs'

export default function SiteHeader() {
  return (
    <header className="site-header">
      <Link href="/" className="wordmark">
        Several accounts
      </Link>
      <nav aria-label="Pages">
        <Link href="/protected">Protected</Link>
        <Link href="/accounts">Accounts</Link>
      </nav>
      <div className="who">
        <Show when="signed-out">
          <Link href="/sign-in" className="button">
            Sign in
          </Link>
        </Show>
        <Show when="signed-in">
          <UserButton />
        </Show>
      </div>
    </header>
  )
}
