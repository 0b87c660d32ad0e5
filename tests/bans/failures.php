<?php
// failures.php COUNT PAUSE_MS: failed logins, each from an address of its own; prints address -> when
// it was committed, in seconds since 1970.
[, $count, $pause] = $argv;
$db = new mysqli('localhost', 'root', '', 'typo3');
$row = $db->prepare(
    "INSERT INTO sys_log (tstamp, type, action, error, channel, IP, log_data, details)"
    . " VALUES (UNIX_TIMESTAMP(), 255, 3, 3, 'user', ?, '[\"admin\"]', 'Login-attempt from ###IP###')"
);
$when = [];
for ($n = 0; $n < $count; $n++) {
    $address = '198.51.' . (100 + intdiv($n, 250)) . '.' . ($n % 250 + 1);
    $row->bind_param('s', $address);
    $row->execute();
    $when[$address] = microtime(true);
    usleep($pause * 1000);
}
echo json_encode($when), "\n";
