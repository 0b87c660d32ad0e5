<?php

/** Whether a user of this tenant may log in; a failure is logged as i-doit's Monolog does. */
function idoit_login(mysqli $tenant, $name, $password)
{
    $statement = $tenant->prepare(
        'SELECT isys_cats_person_list__user_pass FROM isys_cats_person_list'
        . ' WHERE isys_cats_person_list__title = ? AND isys_cats_person_list__status = 2'
        . " AND isys_cats_person_list__disabled_login = 0"
    );
    $statement->bind_param('s', $name);
    $statement->execute();
    $row = $statement->get_result()->fetch_row();
    if ($row && $row[0] !== '' && isys_helper_crypt::checkPassword($password, $row[0])) {
        return true;
    }
    global $g_absdir;
    $context = json_encode([
        'username'   => $name,
        'ip-address' => $_SERVER['REMOTE_ADDR'] ?? '',
        'user-agent' => $_SERVER['HTTP_USER_AGENT'] ?? '',
    ], JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
    $line = sprintf(
        "[%s] login.WARNING: Login failed for user %s %s []\n",
        (new DateTimeImmutable())->format('Y-m-d\TH:i:s.uP'),
        str_replace(["\r", "\n"], ' ', $name),
        $context
    );
    file_put_contents(
        $g_absdir . '/log/failed-logins_' . date('Y-m-d') . '.log',
        $line,
        FILE_APPEND | LOCK_EX
    );
    return false;
}
