<?php

require dirname(__DIR__) . '/src/bootstrap.inc.php';

$name = (string)($_POST['username'] ?? '');
$given = (string)($_POST['password'] ?? '');
$stored = $g_admin_auth[$name] ?? '';
// An empty password disables the Admin Center; a plain one is taken as well, as it always was.
$known = $stored !== '' && $given !== ''
    && (hash_equals($stored, $given) || password_verify($given, $stored));
echo '<title>i-doit Admin Center</title>';
echo $known ? '<p>Admin Center: signed in</p>' : '<form method="post">Admin Center: login</form>';
