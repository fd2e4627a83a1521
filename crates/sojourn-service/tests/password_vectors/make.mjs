// The digests of the libraries for Node, for the passwords in argv: one JSON list.
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { hashPassword } from 'better-auth/crypto'

const require = createRequire(import.meta.url)
const { FirebaseScrypt } = require('firebase-scrypt')
const aspnet = require('aspnetcore-identity-password-hasher')
const wordpress = require('wordpress-hash-node')

// The parameters of the example in the README of firebase/scrypt.
const SIGNER = 'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=='
const parameters = { memCost: 14, rounds: 8, saltSeparator: 'Bw==', signerKey: SIGNER }

const made = []
for (const password of process.argv.slice(2)) {
  const add = (hasher, made_by, digest) => made.push({ hasher, made_by, password, digest })
  const salt = randomBytes(10).toString('base64')
  const hash = await new FirebaseScrypt(parameters).hash(password, salt)
  add('scrypt_firebase', 'firebase-scrypt 2.2.0 (npm)', `${hash}$${salt}$${SIGNER}$Bw==$8$14`)
  add('better_auth', 'better-auth 1.7.25 (npm)', await hashPassword(password))
  add('aspnet_identity_v3', 'aspnetcore-identity-password-hasher 1.0.1 (npm)', await aspnet.hash(password))
  // It hashes other bytes than UTF-8 where a character is not ASCII: findings/phpass-of-node-hashes-other-bytes.sh.
  if (/^[ -~]*$/.test(password)) add('phpass', 'wordpress-hash-node 1.0.0 (npm)', wordpress.HashPassword(password))
}
console.log(JSON.stringify(made))
