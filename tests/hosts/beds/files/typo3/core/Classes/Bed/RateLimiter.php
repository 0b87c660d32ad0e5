<?php

namespace TYPO3\CMS\Core\Bed;

use TYPO3\CMS\Core\Core\Environment;

/**
 * Attempts of one address in a sliding window, kept in var/cache as TYPO3's own limiter does.
 */
class RateLimiter
{
    private string $file;
    private int $limit;
    private int $window;

    public function __construct(string $address)
    {
        $settings = $GLOBALS['TYPO3_CONF_VARS']['BE'];
        $folder = Environment::getVarPath() . '/cache/data/ratelimiter';
        @mkdir($folder, 0770, true);
        $this->file = $folder . '/' . sha1('login-be' . $address);
        $this->limit = (int)$settings['loginRateLimit'];
        $this->window = strtotime('+' . $settings['loginRateLimitInterval'], 0);
    }

    /** Counts one attempt; false where there were too many already. */
    public function accept(): bool
    {
        if ($this->limit === 0) {
            return true;
        }
        $handle = fopen($this->file, 'c+');
        flock($handle, LOCK_EX);
        $since = time() - $this->window;
        $times = json_decode(stream_get_contents($handle) ?: '[]', true);
        $times = array_values(array_filter($times, static fn ($time) => $time > $since));
        $accepted = count($times) < $this->limit;
        if ($accepted) {
            $times[] = time();
        }
        ftruncate($handle, 0);
        rewind($handle);
        fwrite($handle, json_encode($times));
        fclose($handle);
        return $accepted;
    }

    public function reset(): void
    {
        @unlink($this->file);
    }
}
