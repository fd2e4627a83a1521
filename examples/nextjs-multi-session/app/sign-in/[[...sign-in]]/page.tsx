import { SignIn } from '@clerk/nextjs'

export const metadata = { title: 'Sign in' }

export default function SignInPage() {
  return (
    <main className="centred">
      <h1 className="visually-hidden">Sign in</h1>
      <SignIn />
    </main>
  )
}
