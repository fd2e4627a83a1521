import React from 'react'
import { ClerkProvider } from '@clerk/nextjs'
import MultisessionAppSupport from './components/MultisessionAppSupport'
import './globals.css'

export const metadata = {
  title: 'Several accounts, one browser',
  description: 'The multi-session example of Sojourn',
}

export default function RootLayout({ children }: { children: React.ReactNode }) {
  return (
    <html lang="en">
      <body>
        <ClerkProvider afterMultiSessionSingleSignOutUrl="/">
          <MultisessionAppSupport>{children}</MultisessionAppSupport>
        </ClerkProvider>
      </body>
    </html>
  )
}
