import AccountList from './AccountList'

export const metadata = { title: 'Accounts' }

export default function Accounts() {
  return (
    <>
      <h1>Accounts</h1>
      <p>
        A flow of one’s own instead of <code>&lt;UserButton /&gt;</code>: it reads <code>client.sessions</code> and calls{' '}
        <code>setActive()</code> and <code>signOut()</code>.
      </p>
      <AccountList />
    </>
  )
}
