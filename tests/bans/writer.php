<?php
// writer.php SECONDS ROWS_PER_SECOND: backend actions as TYPO3 logs them; prints milliseconds each took.
[, $seconds, $rate] = $argv;
$db = new mysqli('localhost', 'root', '', 'typo3');
$row = $db->prepare(
    "INSERT INTO sys_log (tstamp, userid, type, action, error, channel, IP, log_data, details)"
    . " VALUES (UNIX_TIMESTAMP(), 1, 1, 2, 0, 'content', '192.0.2.200', '[]', 'Record was updated')"
);
$took = [];
$began = microtime(true);
for ($n = 0; ($now = microtime(true)) < $began + $seconds; $n++) {
    $row->execute();
    $took[] = round((microtime(true) - $now) * 1000, 3);
    $next = $began + ($n + 1) / $rate;
    if ($next > microtime(true)) {
        usleep((int) (($next - microtime(true)) * 1e6));
    }
}
echo json_encode($took), "\n";
