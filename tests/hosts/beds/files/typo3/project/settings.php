<?php
return [
    'BE' => [
        'debug' => false,
        'installToolPassword' => '$argon2i$v=19$m=65536,t=16,p=1$eWV4V0cvbkl6ZGNyTnBiQg$PqJ1rDyJ1vP4oYyxTtJm2bB0OQ3sYkz1eIpgkX0Gz3E',
        'passwordHashing' => [
            'className' => 'TYPO3\\CMS\\Core\\Crypto\\PasswordHashing\\Argon2iPasswordHash',
            'options' => [],
        ],
    ],
    'DB' => [
        'Connections' => [
            'Default' => [
                'charset' => 'utf8mb4',
                'dbname' => '@DATABASE@',
                'driver' => 'mysqli',
                'host' => 'localhost',
                'password' => '@PASSWORD@',
                'port' => 3306,
                'tableoptions' => [
                    'charset' => 'utf8mb4',
                    'collate' => 'utf8mb4_unicode_ci',
                ],
                'user' => '@USER@',
            ],
        ],
    ],
    'EXTENSIONS' => [
        'backend' => [
            'backendFavicon' => '',
            'loginFootnote' => '',
        ],
    ],
    'FE' => [
        'debug' => false,
        'disableNoCacheParameter' => true,
    ],
    'MAIL' => [
        'transport' => 'sendmail',
        'transport_sendmail_command' => '/usr/sbin/sendmail -t -i',
        'transport_smtp_password' => '',
    ],
    'SYS' => [
        'UTF8filesystem' => true,
        'devIPmask' => '',
        'displayErrors' => 0,
        'encryptionKey' => '@ENCRYPTION@',
        'features' => [
            'security.backend.enforceContentSecurityPolicy' => true,
        ],
        'sitename' => 'New TYPO3 site',
        'systemMaintainers' => [
            1,
        ],
    ],
];
