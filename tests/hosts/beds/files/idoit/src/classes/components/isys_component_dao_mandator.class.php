<?php

/**
 * The tenants, as isys_mandator has them.
 */
class isys_component_dao_mandator
{
    private $database;

    public function __construct(mysqli $database)
    {
        $this->database = $database;
    }

    /** Active tenants in their order. */
    public function get_mandator()
    {
        return $this->database->query(
            'SELECT * FROM isys_mandator WHERE isys_mandator__active = 1'
            . ' ORDER BY isys_mandator__sort ASC, isys_mandator__title ASC'
        )->fetch_all(MYSQLI_ASSOC);
    }

    /** The encrypted password, where there is one, beats the plain one. */
    public static function getPassword(array $tenant)
    {
        if (!empty($tenant['isys_mandator__db_password'])) {
            return isys_helper_crypt::decrypt($tenant['isys_mandator__db_password']);
        }
        return $tenant['isys_mandator__db_pass'];
    }

    public static function connect(array $tenant)
    {
        return new mysqli(
            $tenant['isys_mandator__db_host'],
            $tenant['isys_mandator__db_user'],
            (string)self::getPassword($tenant),
            $tenant['isys_mandator__db_name'],
            (int)$tenant['isys_mandator__db_port']
        );
    }
}
