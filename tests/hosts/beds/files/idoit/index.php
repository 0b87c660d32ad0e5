<?php

require __DIR__ . '/src/bootstrap.inc.php';
require __DIR__ . '/src/tools/php/login.inc.php';

header('Content-Type: text/html; charset=utf-8');
try {
    $tenants = (new isys_component_dao_mandator(idoit_system_database()))->get_mandator();
    if (!$tenants) {
        throw new RuntimeException('There is no active tenant');
    }
    $tenant = $tenants[0];
    foreach ($tenants as $one) {
        if ((string)$one['isys_mandator__id'] === ($_POST['login_mandator'] ?? '')) {
            $tenant = $one;
        }
    }
    $database = isys_component_dao_mandator::connect($tenant);
    $count = $database->query('SELECT COUNT(*) FROM isys_obj')->fetch_row()[0];
} catch (Throwable $error) {
    http_response_code(500);
    error_log('i-doit: ' . $error->getMessage());
    echo '<title>i-doit</title><h1>i-doit system error</h1>';
    exit;
}

$message = '';
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    $name = (string)($_POST['login_username'] ?? '');
    if (idoit_login($database, $name, (string)($_POST['login_password'] ?? ''))) {
        setcookie('PHPSESSID', bin2hex(random_bytes(16)), ['httponly' => true, 'path' => '/']);
        echo '<title>i-doit - Dashboard</title><p>Signed in as ', htmlspecialchars($name), '</p>';
        exit;
    }
    $message = '<p class="error">Invalid username or password!</p>';
}
?>
<!DOCTYPE html>
<title>i-doit - Login</title>
<?= $message ?>

<form method="post" action="/">
  <input name="login_username"><input name="login_password" type="password">
  <select name="login_mandator">
<?php foreach ($tenants as $one) {
    printf(
        "    <option value=\"%d\">%s</option>\n",
        $one['isys_mandator__id'],
        htmlspecialchars($one['isys_mandator__title'])
    );
} ?>
  </select>
  <button name="login_submit">Login</button>
</form>
<p><?= (int)$count ?> objects</p>
