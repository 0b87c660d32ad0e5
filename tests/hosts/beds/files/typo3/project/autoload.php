<?php

// The project's and the document root's paths, which Composer's plugin writes at installation.
if (!getenv('TYPO3_PATH_APP')) {
    putenv('TYPO3_PATH_APP=@PROJECT@');
    $_ENV['TYPO3_PATH_APP'] = '@PROJECT@';
}
if (!getenv('TYPO3_PATH_ROOT')) {
    putenv('TYPO3_PATH_ROOT=@PUBLIC@');
    $_ENV['TYPO3_PATH_ROOT'] = '@PUBLIC@';
}
spl_autoload_register(static function (string $class): void {
    $prefix = 'TYPO3\\CMS\\Core\\';
    if (str_starts_with($class, $prefix)) {
        $name = str_replace('\\', '/', substr($class, strlen($prefix)));
        $file = '@CORE@/Classes/' . $name . '.php';
        if (is_file($file)) {
            require $file;
        }
    }
});
