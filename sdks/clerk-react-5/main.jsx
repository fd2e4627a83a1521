import { ClerkProvider, SignIn, useUser } from '@clerk/clerk-react'
import { createRoot } from 'react-dom/client'

function Page() {
  const { isLoaded, user } = useUser()
  if (!isLoaded) return null
  return user ? <p id="who">{user.primaryEmailAddress.emailAddress}</p> : <SignIn routing="hash" />
}

createRoot(document.getElementById('root')).render(
  <ClerkProvider
    publishableKey={import.meta.env.VITE_CLERK_PUBLISHABLE_KEY}
    proxyUrl="/__clerk"
    clerkJSUrl="/__clerk/npm/@clerk/clerk-js@5/dist/clerk.browser.js"
    signInUrl={import.meta.env.VITE_CLERK_SIGN_IN_URL}
    signUpUrl={import.meta.env.VITE_CLERK_SIGN_UP_URL}
  >
    <Page />
  </ClerkProvider>,
)
