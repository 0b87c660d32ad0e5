<?php

namespace TYPO3\CMS\Core\Bed;

use TYPO3\CMS\Core\Configuration\ConfigurationManager;
use TYPO3\CMS\Core\Core\Environment;
use TYPO3\CMS\Core\Core\SystemEnvironmentBuilder;

/**
 * Answers as TYPO3 does: a page from the database, and the login of the backend.
 */
class Application
{
    private const TYPE_LOGIN = 255;
    private const ACTION_LOGIN = 1;
    private const ACTION_ATTEMPT = 3;
    private const SECURITY_NOTICE = 3;

    public static function run(): void
    {
        SystemEnvironmentBuilder::run();
        (new ConfigurationManager())->exportConfiguration();
        header('Content-Type: text/html; charset=utf-8');
        try {
            self::dispatch(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '/');
        } catch (\Throwable $error) {
            http_response_code(500);
            error_log('TYPO3: ' . $error->getMessage());
            $shown = self::showsErrors() ? ': ' . htmlspecialchars((string)$error) : '';
            echo '<title>TYPO3 Exception</title><h1>Oops, an error occurred!', $shown, '</h1>';
        }
    }

    private static function dispatch(string $path): void
    {
        self::verifyHost();
        if ($path === '/typo3' || str_starts_with($path, '/typo3/')) {
            self::backend($path);
            return;
        }
        if ($path !== '/' && $path !== '/index.php') {
            http_response_code(404);
            echo '<title>Page Not Found</title>';
            return;
        }
        $title = Database::connect()->query('SELECT title FROM pages WHERE uid = 1')->fetch_row()[0];
        echo '<!DOCTYPE html><title>', htmlspecialchars($title), '</title>';
        echo '<meta name="generator" content="TYPO3 CMS">';
    }

    private static function verifyHost(): void
    {
        $pattern = $GLOBALS['TYPO3_CONF_VARS']['SYS']['trustedHostsPattern'];
        $host = $_SERVER['HTTP_HOST'] ?? '';
        $port = $_SERVER['SERVER_PORT'];
        $names = [$_SERVER['SERVER_NAME'], $_SERVER['SERVER_NAME'] . ':' . $port];
        $known = $pattern === 'SERVER_NAME'
            ? in_array(strtolower($host), array_map('strtolower', $names), true)
            : $pattern === '.*' || preg_match('/^' . $pattern . '$/i', $host) === 1;
        if (!$known) {
            throw new \UnexpectedValueException(
                'The current host header value does not match the configured trusted hosts pattern!',
                1396795884
            );
        }
    }

    private static function backend(string $path): void
    {
        $settings = $GLOBALS['TYPO3_CONF_VARS']['BE'];
        $https = ($_SERVER['HTTPS'] ?? '') !== '';
        if ($settings['lockSSL'] && !$https) {
            header('Location: https://' . $_SERVER['HTTP_HOST'] . $_SERVER['REQUEST_URI'], true, 303);
            return;
        }
        if (!in_array($path, ['/typo3', '/typo3/', '/typo3/login'], true)) {
            header('Location: /typo3/login', true, 303);
            return;
        }
        $message = '';
        if ($_SERVER['REQUEST_METHOD'] === 'POST' && ($_POST['login_status'] ?? '') === 'login') {
            $address = self::address();
            $limiter = new RateLimiter($address);
            if (!$limiter->accept()) {
                // Exception 1616175867, which TYPO3 writes to no log.
                http_response_code(403);
                echo '<title>TYPO3 Exception</title><h1>The login is locked</h1>';
                return;
            }
            $name = (string)($_POST['username'] ?? '');
            if (self::logIn($name, (string)($_POST['userident'] ?? ''), $address)) {
                $limiter->reset();
                setcookie('be_typo_user', bin2hex(random_bytes(16)), [
                    'httponly' => true,
                    'path' => '/',
                    'samesite' => ucfirst($settings['cookieSameSite']),
                    'secure' => $https,
                ]);
                header('Location: /typo3/main', true, 303);
                return;
            }
            $message = '<p class="alert">Your login attempt did not succeed</p>';
        }
        echo '<!DOCTYPE html><title>TYPO3 CMS Login</title>', $message,
            '<form method="post" action="/typo3/login"><input name="username">',
            '<input name="userident" type="password">',
            '<input name="login_status" type="hidden" value="login"></form>';
    }

    private static function logIn(string $name, string $password, string $address): bool
    {
        $database = Database::connect();
        $found = $database->prepare(
            'SELECT uid, password FROM be_users WHERE username = ? AND deleted = 0 AND disable = 0'
        );
        $found->bind_param('s', $name);
        $found->execute();
        $user = $found->get_result()->fetch_assoc();
        $log = static fn (string $details, int $action, int $error, int $uid = 0) =>
            self::log($database, $details, $action, $error, $uid, $name, $address);
        $failed = static fn (string $details) =>
            $log($details, self::ACTION_ATTEMPT, self::SECURITY_NOTICE);
        if ($password === '') {
            $failed("Login-attempt from ###IP###, username '%s' with an empty password!");
            return false;
        }
        if (!$user) {
            $failed("Login-attempt from ###IP###, username '%s' not found!");
            return false;
        }
        if (!password_verify($password, $user['password'])) {
            $failed("Login-attempt from ###IP###, username '%s', password not accepted!");
            return false;
        }
        $log('User %s logged in from ###IP###', self::ACTION_LOGIN, 0, (int)$user['uid']);
        return true;
    }

    private static function log(
        \mysqli $database,
        string $details,
        int $action,
        int $error,
        int $uid,
        string $name,
        string $address
    ): void {
        $type = self::TYPE_LOGIN;
        $data = json_encode([$name]);
        $now = time();
        $row = $database->prepare(
            "INSERT INTO sys_log SET userid = ?, type = ?, channel = 'user', level = 'info',"
            . " action = ?, error = ?, details = ?, log_data = ?, tablename = '', recuid = 0,"
            . ' IP = ?, tstamp = ?, event_pid = -1, workspace = -99'
        );
        $row->bind_param('iiiisssi', $uid, $type, $action, $error, $details, $data, $address, $now);
        $row->execute();
    }

    /** The client's address; of a proxy that is known the one it forwards. */
    private static function address(): string
    {
        $address = $_SERVER['REMOTE_ADDR'];
        $settings = $GLOBALS['TYPO3_CONF_VARS']['SYS'];
        $proxies = array_map('trim', explode(',', $settings['reverseProxyIP']));
        $forwarded = array_map('trim', explode(',', $_SERVER['HTTP_X_FORWARDED_FOR'] ?? ''));
        if (in_array($address, $proxies, true) && $forwarded[0] !== '') {
            $first = $settings['reverseProxyHeaderMultiValue'] === 'first';
            return $first ? $forwarded[0] : end($forwarded);
        }
        return $address;
    }

    private static function showsErrors(): bool
    {
        $settings = $GLOBALS['TYPO3_CONF_VARS']['SYS'];
        $masks = array_map('trim', explode(',', $settings['devIPmask']));
        return (int)$settings['displayErrors'] === 1
            || ((int)$settings['displayErrors'] === -1
                && in_array($_SERVER['REMOTE_ADDR'], $masks, true));
    }
}
