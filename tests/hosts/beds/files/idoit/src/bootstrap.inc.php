<?php

$g_absdir = dirname(__DIR__);
require __DIR__ . '/config.inc.php';
require __DIR__ . '/classes/helper/isys_helper_crypt.class.php';
require __DIR__ . '/classes/components/isys_component_dao_mandator.class.php';

mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);

function idoit_system_database()
{
    global $g_db_system;
    return new mysqli(
        $g_db_system['host'],
        $g_db_system['user'],
        $g_db_system['pass'],
        $g_db_system['name'],
        (int)$g_db_system['port']
    );
}
