<?php

// Fills what only i-doit's own code can: the tenant's encrypted password, admin's hash.
require $argv[1] . '/src/bootstrap.inc.php';

$system = idoit_system_database();
$statement = $system->prepare(
    "INSERT INTO isys_mandator SET isys_mandator__title = 'Example Ltd.',"
    . " isys_mandator__dir_cache = 'cache_idoit_data', isys_mandator__dir_tpl = 'default',"
    . " isys_mandator__db_host = 'localhost', isys_mandator__db_name = 'idoit_data',"
    . ' isys_mandator__db_user = ?, isys_mandator__db_password = ?, isys_mandator__sort = 1'
);
$encrypted = isys_helper_crypt::encrypt($g_db_system['pass']);
$statement->bind_param('ss', $g_db_system['user'], $encrypted);
$statement->execute();

$tenant = (new isys_component_dao_mandator($system))->get_mandator()[0];
$database = isys_component_dao_mandator::connect($tenant);
$statement = $database->prepare(
    'UPDATE isys_cats_person_list SET isys_cats_person_list__user_pass = ?'
    . " WHERE isys_cats_person_list__title = 'admin'"
);
$hash = isys_helper_crypt::encryptPassword('admin');
$statement->bind_param('s', $hash);
$statement->execute();
