#!/usr/bin/env php
<?php

if (PHP_SAPI !== 'cli') {
    exit(1);
}
require __DIR__ . '/src/bootstrap.inc.php';

$tenants = (new isys_component_dao_mandator(idoit_system_database()))->get_mandator();
switch ($argv[1] ?? '') {
    case 'tenant-list':
        foreach ($tenants as $tenant) {
            isys_component_dao_mandator::connect($tenant);
            printf(
                "%d: %s (host: %s, database: %s) active\n",
                $tenant['isys_mandator__id'],
                $tenant['isys_mandator__title'],
                $tenant['isys_mandator__db_host'],
                $tenant['isys_mandator__db_name']
            );
        }
        break;
    default:
        echo "Available commands:\n  tenant-list  Shows list of available tenants\n";
}
