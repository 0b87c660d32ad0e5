<?php

namespace TYPO3\CMS\Core\Core;

class SystemEnvironmentBuilder
{
    public const REQUESTTYPE_FE = 1;
    public const REQUESTTYPE_BE = 2;
    public const REQUESTTYPE_CLI = 4;

    public static function run(int $entryPointLevel = 0, int $requestType = self::REQUESTTYPE_FE)
    {
        $context = getenv('TYPO3_CONTEXT') ?: (getenv('REDIRECT_TYPO3_CONTEXT') ?: 'Production');
        Environment::initialize(
            new ApplicationContext($context),
            $requestType === self::REQUESTTYPE_CLI,
            getenv('TYPO3_PATH_APP'),
            getenv('TYPO3_PATH_ROOT')
        );
    }
}
