'use client'

import { useUser } from '@clerk/nextjs'

export default function CurrentUser() {
  const { user } = useUser()
  return <strong data-testid="current-user">{user?.primaryEmailAddress?.emailAddress}</strong>
}
