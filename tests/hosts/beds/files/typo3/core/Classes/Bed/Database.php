<?php

namespace TYPO3\CMS\Core\Bed;

class Database
{
    public static function connect(): \mysqli
    {
        mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
        $given = $GLOBALS['TYPO3_CONF_VARS']['DB']['Connections']['Default'];
        $database = new \mysqli(
            $given['host'],
            $given['user'],
            $given['password'],
            $given['dbname'],
            (int)($given['port'] ?? 3306)
        );
        $database->set_charset('utf8mb4');
        return $database;
    }
}
