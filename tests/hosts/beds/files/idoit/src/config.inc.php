<?php

/*
 * Database configuration: the system database.
 */
$g_db_system = [
    'type' => 'mysqli',
    'host' => 'localhost',
    'port' => '3306',
    'user' => '@USER@',
    'pass' => '@PASSWORD@',
    'name' => 'idoit_system'
];

/*
 * Encryption of the passwords of users: bcrypt or argon2i.
 */
$g_security = [
    'passwords_encryption_method' => 'bcrypt'
];

/*
 * Login of the Admin Center.
 *
 * Syntax: 'username' => 'bcrypt-encrypted-password'
 */
$g_admin_auth = [
    'admin' => '@ADMIN@',
];

/*
 * Key of what is encrypted in the database.
 */
$g_crypto_hash = '@CRYPTO@';

$g_disable_addon_upload = '0';
$g_enable_gui_update = '1';
$g_license_token = '';
$g_is_cloud = '0';
$g_active_features = [];
