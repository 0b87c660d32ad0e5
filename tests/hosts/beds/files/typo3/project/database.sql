DROP DATABASE IF EXISTS @DATABASE@;
CREATE DATABASE @DATABASE@ DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
USE @DATABASE@;
CREATE TABLE sys_log (
  uid int(10) unsigned NOT NULL AUTO_INCREMENT,
  pid int(10) unsigned NOT NULL DEFAULT 0,
  tstamp int(10) unsigned NOT NULL DEFAULT 0,
  userid int(10) unsigned NOT NULL DEFAULT 0,
  action smallint(5) unsigned NOT NULL DEFAULT 0,
  recuid int(10) unsigned NOT NULL DEFAULT 0,
  tablename varchar(255) NOT NULL DEFAULT '',
  recpid int(11) NOT NULL DEFAULT 0,
  error smallint(5) unsigned NOT NULL DEFAULT 0,
  details text DEFAULT NULL,
  type smallint(5) unsigned NOT NULL DEFAULT 0,
  details_nr smallint(6) NOT NULL DEFAULT 0,
  IP varchar(39) NOT NULL DEFAULT '',
  log_data text DEFAULT NULL,
  event_pid int(11) NOT NULL DEFAULT -1,
  workspace int(11) NOT NULL DEFAULT 0,
  NEWid varchar(30) NOT NULL DEFAULT '',
  request_id varchar(13) NOT NULL DEFAULT '',
  time_micro double NOT NULL DEFAULT 0,
  component varchar(255) NOT NULL DEFAULT '',
  level varchar(10) NOT NULL DEFAULT 'info',
  message text DEFAULT NULL,
  data text DEFAULT NULL,
  channel varchar(20) NOT NULL DEFAULT 'default',
  PRIMARY KEY (uid),
  KEY event (userid, event_pid),
  KEY recuidIdx (recuid),
  KEY user_auth (type, action, tstamp),
  KEY request (request_id),
  KEY combined_1 (tstamp, type, userid),
  KEY errorcount (tstamp, error),
  KEY parent (pid),
  KEY index_channel (channel),
  KEY index_level (level)
) ENGINE=InnoDB;
CREATE TABLE be_users (
  uid int(10) unsigned NOT NULL AUTO_INCREMENT,
  pid int(10) unsigned NOT NULL DEFAULT 0,
  tstamp int(10) unsigned NOT NULL DEFAULT 0,
  crdate int(10) unsigned NOT NULL DEFAULT 0,
  deleted smallint(5) unsigned NOT NULL DEFAULT 0,
  disable smallint(5) unsigned NOT NULL DEFAULT 0,
  starttime int(10) unsigned NOT NULL DEFAULT 0,
  endtime int(10) unsigned NOT NULL DEFAULT 0,
  username varchar(50) NOT NULL DEFAULT '',
  password varchar(255) NOT NULL DEFAULT '',
  admin smallint(5) unsigned NOT NULL DEFAULT 0,
  email varchar(255) NOT NULL DEFAULT '',
  realName varchar(80) NOT NULL DEFAULT '',
  lastlogin int(11) NOT NULL DEFAULT 0,
  mfa mediumblob DEFAULT NULL,
  PRIMARY KEY (uid),
  KEY username (username),
  KEY parent (pid, deleted, disable)
) ENGINE=InnoDB;
CREATE TABLE pages (
  uid int(10) unsigned NOT NULL AUTO_INCREMENT,
  pid int(10) unsigned NOT NULL DEFAULT 0,
  title varchar(255) NOT NULL DEFAULT '',
  deleted smallint(5) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (uid)
) ENGINE=InnoDB;
INSERT INTO pages (title) VALUES ('Home of the example');
INSERT INTO be_users (username, password, admin, crdate, tstamp) VALUES
  ('admin', '@ADMIN_HASH@', 1, UNIX_TIMESTAMP(), UNIX_TIMESTAMP()),
  ('editor', '@ADMIN_HASH@', 0, UNIX_TIMESTAMP(), UNIX_TIMESTAMP()),
  ('_cli_', '', 1, UNIX_TIMESTAMP(), UNIX_TIMESTAMP());
