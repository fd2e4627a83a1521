<?php
// The digests of PHP and of Symfony, for the passwords in argv: one JSON list.
require '/usr/share/php/Symfony/Component/PasswordHasher/autoload.php';

use Symfony\Component\PasswordHasher\Hasher\MessageDigestPasswordHasher;

$php = 'PHP ' . PHP_VERSION;
$symfony = new MessageDigestPasswordHasher('sha512', true, 5000);
$made = [];
foreach (array_slice($argv, 1) as $password) {
    $add = function ($hasher, $made_by, $digest) use (&$made, $password) {
        $made[] = ['hasher' => $hasher, 'made_by' => $made_by, 'password' => $password, 'digest' => $digest];
    };
    $salt = bin2hex(random_bytes(8));
    $add('bcrypt', "$php password_hash", password_hash($password, PASSWORD_BCRYPT, ['cost' => 6]));
    $add('argon2id', "$php password_hash", password_hash($password, PASSWORD_ARGON2ID, ['memory_cost' => 1024]));
    $add('argon2i', "$php password_hash", password_hash($password, PASSWORD_ARGON2I, ['memory_cost' => 1024]));
    $add('md5', "$php md5", md5($password));
    $add('md5_salted', "$php md5 of salt and password", $salt . '$' . md5($salt . $password));
    $add('md5_salted', "$php md5 of password and salt", $salt . '$' . md5($password . $salt));
    $add('sha256', "$php hash", hash('sha256', $password));
    $add('sha256_salted', "$php hash of salt and password", $salt . '$' . hash('sha256', $salt . $password));
    $add('sha256_salted', "$php hash of password and salt", hash('sha256', $password . $salt) . '$' . $salt);
    foreach (['sha1' => 20, 'sha256' => 32, 'sha512' => 64] as $prf => $length) {
        $raw = hash_pbkdf2($prf, $password, $salt, 2000, $length, true);
        $digest = match ($prf) {
            // PHP's salt is valid hex, so it has to be encoded: the hasher decodes what is hex.
            'sha1' => 'pbkdf2_sha1$2000$' . bin2hex($salt) . '$' . bin2hex($raw) . '$20',
            'sha256' => 'pbkdf2_sha256$2000$' . base64_encode($salt) . '$' . base64_encode($raw),
            'sha512' => 'pbkdf2_sha512$2000$' . $salt . '$' . bin2hex($raw),
        };
        $add("pbkdf2_$prf", "$php hash_pbkdf2", $digest);
    }
    $raw = hash_pbkdf2('sha1', $password, 'a salt', 1000, 32, true);
    $add('pbkdf2_sha1', "$php hash_pbkdf2", 'pbkdf2_sha1$1000$a salt$' . bin2hex($raw));
    $raw = hash_pbkdf2('sha512', $password, hex2bin($salt), 1000, 64, true);
    $add('pbkdf2_sha512_hex', "$php hash_pbkdf2", 'pbkdf2_sha512_hex$1000$' . $salt . '$' . bin2hex($raw));
    $hash = $symfony->hash($password, $salt);
    $add('sha512_symfony', 'symfony/password-hasher 5.4.53', 'sha512_symfony$5000$' . $salt . '$' . $hash);
    // The layout of wp_hash_password in WordPress 6.8: https://make.wordpress.org/core/2025/02/17/
    $input = base64_encode(hash_hmac('sha384', trim($password), 'wp-sha384', true));
    $add('wordpress', "$php as WordPress 6.8 does it", '$wp' . password_hash($input, PASSWORD_BCRYPT, ['cost' => 6]));
}
echo json_encode($made);
