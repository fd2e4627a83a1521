import { SignUp } from '@clerk/nextjs'

export const metadata = { title: 'Sign up' }

export default function SignUpPage() {
  return (
    <main className="centred">
      <h1 className="visually-hidden">Sign up</h1>
      <SignUp />
    </main>
  )
}
