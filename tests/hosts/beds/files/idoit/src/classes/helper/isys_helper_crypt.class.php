<?php

/**
 * Encryption as i-doit does it with phpseclib's Rijndael: AES-256-CBC, the key cut to 32 bytes.
 */
class isys_helper_crypt
{
    const DELIMITER = '|$$|';

    public static function encrypt($string)
    {
        $iv = random_bytes(16);
        $crypted = openssl_encrypt($string, 'aes-256-cbc', self::key(), OPENSSL_RAW_DATA, $iv);
        return base64_encode($iv . self::DELIMITER . $crypted);
    }

    public static function decrypt($string)
    {
        $decoded = is_string($string) ? base64_decode($string, true) : false;
        if ($decoded === false || strpos($decoded, self::DELIMITER) === false) {
            return false;
        }
        $parts = explode(self::DELIMITER, $decoded, 2);
        return openssl_decrypt($parts[1], 'aes-256-cbc', self::key(), OPENSSL_RAW_DATA, $parts[0]);
    }

    public static function encryptPassword($string)
    {
        global $g_security, $g_crypto_hash;
        $argon = ($g_security['passwords_encryption_method'] ?? 'bcrypt') === 'argon2i';
        return password_hash(
            $g_crypto_hash . $string,
            $argon ? PASSWORD_ARGON2I : PASSWORD_BCRYPT
        );
    }

    public static function checkPassword($given, $stored)
    {
        global $g_crypto_hash;
        if (preg_match('/^[0-9a-f]{32}$/', $stored)) {
            return hash_equals($stored, md5($given));
        }
        return password_verify($g_crypto_hash . $given, $stored);
    }

    private static function key()
    {
        global $g_crypto_hash;
        return substr(str_pad($g_crypto_hash, 32, "\0"), 0, 32);
    }
}
