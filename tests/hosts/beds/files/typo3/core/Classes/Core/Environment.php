<?php

namespace TYPO3\CMS\Core\Core;

/**
 * Where everything lies, for both layouts.
 */
class Environment
{
    private static ApplicationContext $context;
    private static string $project;
    private static string $public;
    private static bool $cli;

    public static function initialize(ApplicationContext $context, bool $cli, string $project, string $public): void
    {
        self::$context = $context;
        self::$cli = $cli;
        self::$project = $project;
        self::$public = $public;
    }

    public static function getContext(): ApplicationContext
    {
        return self::$context;
    }

    public static function isCli(): bool
    {
        return self::$cli;
    }

    public static function isComposerMode(): bool
    {
        return self::$project !== self::$public;
    }

    public static function getProjectPath(): string
    {
        return self::$project;
    }

    public static function getPublicPath(): string
    {
        return self::$public;
    }

    public static function getVarPath(): string
    {
        return self::isComposerMode() ? self::$project . '/var' : self::$public . '/typo3temp/var';
    }

    public static function getConfigPath(): string
    {
        return self::isComposerMode() ? self::$project . '/config' : self::$public . '/typo3conf';
    }
}
